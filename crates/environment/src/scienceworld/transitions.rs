//! What the simulator answered, remembered.
//!
//! The simulator is deterministic: a task's variation and the list of commands decide every answer (with the JVM's hash codes
//! held fixed, and whatever it played before; a test against the real simulator says so). So each variation keeps a tree of
//! command prefixes, and the simulator is stepped only where nobody has been yet. A command that it does not understand changes
//! nothing, and leads back to where it was said.
//!
//! The trees are shared by all threads of the process, and the longest unused ones are forgotten when they grow too large. `archive`
//! keeps them from one process to the next.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};

use super::gold_path::GoldPath;
use super::simulator::{Answer, Opening, REFUSAL};

/// A scene: a task type and the number of one of its variations.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SceneKey {
    pub(crate) kind: Arc<str>,
    pub(crate) variation: i32,
}

/// A place in a scene's tree: what was said so far. The root is where nothing was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct NodeId(u32);

impl NodeId {
    pub(crate) const ROOT: Self = Self(0);
}

/// All that is remembered of a scene.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) key: SceneKey,
    /// Tells this memory from an earlier one of the same scene that was forgotten.
    pub(crate) id: u64,
    /// What is seen first, and the task in words.
    pub(crate) opening: OnceLock<Arc<Opening>>,
    /// The simulator's own way to solve the task.
    pub(crate) solution: OnceLock<Vec<String>>,
    /// How the expert does it.
    pub(crate) gold_path: OnceLock<Arc<GoldPath>>,
    nodes: Mutex<Vec<Node>>,
    last_used: AtomicU64,
    /// Answers that are not in the archive.
    n_unsaved: AtomicUsize,
}

/// A node as it is kept in an archive; a node's number is its position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NodeRecord {
    parent: u32,
    command: String,
    /// `None` for the root.
    answer: Option<Answer>,
    /// Commands that are not understood here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    refused: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    admissible: Option<Vec<String>>,
}

#[derive(Debug)]
struct Node {
    parent: NodeId,
    command: Box<str>,
    /// `None` for the root.
    answer: Option<Arc<Answer>>,
    children: Vec<(Box<str>, Edge)>,
    admissible: Option<Arc<[String]>>,
}

#[derive(Debug, Clone, Copy)]
enum Edge {
    To(NodeId),
    Refused,
}

/// Where a command leads.
#[derive(Debug, Clone)]
pub(crate) enum Next {
    To(NodeId, Arc<Answer>),
    /// It is not understood, and nothing has changed.
    Refused,
}

impl Scene {
    pub(crate) fn new(key: SceneKey, id: u64) -> Self {
        let root =
            Node { parent: NodeId::ROOT, command: "".into(), answer: None, children: Vec::new(), admissible: None };
        Self {
            key,
            id,
            opening: OnceLock::new(),
            solution: OnceLock::new(),
            gold_path: OnceLock::new(),
            nodes: Mutex::new(vec![root]),
            last_used: AtomicU64::new(0),
            n_unsaved: AtomicUsize::new(0),
        }
    }

    /// A scene from an archive; `None` where the records are no tree whose nodes come after their parents.
    pub(crate) fn restore(
        key: SceneKey,
        id: u64,
        opening: Option<Opening>,
        solution: Option<Vec<String>>,
        records: Vec<NodeRecord>,
    ) -> Option<Self> {
        let mut nodes: Vec<Node> = Vec::with_capacity(records.len());
        for (position, record) in records.into_iter().enumerate() {
            let id = NodeId(position as u32);
            if (id == NodeId::ROOT) != record.answer.is_none() {
                return None;
            }
            if id != NodeId::ROOT {
                nodes.get_mut(record.parent as usize)?.children.push((record.command.as_str().into(), Edge::To(id)));
            }
            nodes.push(Node {
                parent: NodeId(record.parent),
                command: record.command.into(),
                answer: record.answer.map(Arc::new),
                children: record.refused.into_iter().map(|command| (command.into(), Edge::Refused)).collect(),
                admissible: record.admissible.map(Into::into),
            });
        }
        if nodes.is_empty() {
            return None;
        }
        Some(Self {
            opening: opening.map(|opening| Arc::new(opening).into()).unwrap_or_default(),
            solution: solution.map(Into::into).unwrap_or_default(),
            nodes: Mutex::new(nodes),
            ..Self::new(key, id)
        })
    }

    /// All nodes, for an archive, and how many answers count as saved from now on.
    pub(crate) fn take_records(&self) -> (Vec<NodeRecord>, usize) {
        let nodes = self.lock();
        let n_taken = self.n_unsaved.swap(0, Ordering::Relaxed);
        let refused = |node: &Node| {
            let edges = node.children.iter().filter(|(_, edge)| matches!(edge, Edge::Refused));
            edges.map(|(command, _)| command.to_string()).collect()
        };
        let record = |node: &Node| NodeRecord {
            parent: node.parent.0,
            command: node.command.to_string(),
            answer: node.answer.as_deref().cloned(),
            refused: refused(node),
            admissible: node.admissible.as_deref().map(<[String]>::to_vec),
        };
        (nodes.iter().map(record).collect(), n_taken)
    }

    /// Says that answers that were taken could not be saved.
    pub(crate) fn return_unsaved(&self, n_taken: usize) {
        self.n_unsaved.fetch_add(n_taken, Ordering::Relaxed);
    }

    /// Answers that are not in the archive.
    pub(crate) fn n_unsaved(&self) -> usize {
        self.n_unsaved.load(Ordering::Relaxed)
    }

    /// Says that there is an answer more. After it is there, or whoever saves in between would take it for saved.
    fn count_unsaved(&self) {
        self.n_unsaved.fetch_add(1, Ordering::Relaxed);
    }

    /// Remembers how the scene begins. Two threads may have found out at the same time: the first one's stays.
    pub(crate) fn remember_opening(&self, opening: Opening) -> Arc<Opening> {
        let opening = self.opening.get_or_init(|| Arc::new(opening)).clone();
        self.count_unsaved();
        opening
    }

    /// Remembers the simulator's own way to solve the task, likewise.
    pub(crate) fn remember_solution(&self, commands: Vec<String>) -> &[String] {
        let commands = self.solution.get_or_init(|| commands);
        self.count_unsaved();
        commands
    }

    /// Where `command` leads from `node`, if anybody tried.
    pub(crate) fn next(&self, node: NodeId, command: &str) -> Option<Next> {
        next(&self.lock(), node, command)
    }

    /// Remembers where `command` led. Two threads may have found out at the same time: the first one's node stays.
    pub(crate) fn remember(&self, node: NodeId, command: &str, answer: Answer) -> Next {
        let mut nodes = self.lock();
        if let Some(known) = next(&nodes, node, command) {
            return known;
        }
        self.count_unsaved();
        // After a question back, the next words are the answer to it, and everything changes something.
        let is_asked_back = nodes[node.0 as usize].answer.as_ref().is_some_and(|answer| is_question(&answer.text));
        if answer.text == REFUSAL && !is_asked_back {
            nodes[node.0 as usize].children.push((command.into(), Edge::Refused));
            return Next::Refused;
        }
        let (id, answer) = (NodeId(nodes.len() as u32), Arc::new(answer));
        nodes.push(Node {
            parent: node,
            command: command.into(),
            answer: Some(answer.clone()),
            children: Vec::new(),
            admissible: None,
        });
        nodes[node.0 as usize].children.push((command.into(), Edge::To(id)));
        Next::To(id, answer)
    }

    /// How to get from `start` to `node`: commands and their answers. `None` where `node` does not lie behind `start`.
    pub(crate) fn path(&self, start: NodeId, node: NodeId) -> Option<Vec<(String, Arc<Answer>)>> {
        let nodes = self.lock();
        let mut path = Vec::new();
        let mut at = node;
        while at != start {
            let node = &nodes[at.0 as usize];
            // The root has no answer: then `start` does not lie on the way.
            path.push((node.command.to_string(), node.answer.clone()?));
            at = node.parent;
        }
        path.reverse();
        Some(path)
    }

    /// Says that the scene is played at `now`, a count of episodes.
    pub(crate) fn touch(&self, now: u64) {
        self.last_used.store(now, Ordering::Relaxed);
    }

    pub(crate) fn last_used(&self) -> u64 {
        self.last_used.load(Ordering::Relaxed)
    }

    pub(crate) fn admissible(&self, node: NodeId) -> Option<Arc<[String]>> {
        self.lock()[node.0 as usize].admissible.clone()
    }

    pub(crate) fn remember_admissible(&self, node: NodeId, commands: Vec<String>) -> Arc<[String]> {
        let commands: Arc<[String]> = commands.into();
        let mut nodes = self.lock();
        self.count_unsaved();
        nodes[node.0 as usize].admissible = Some(commands.clone());
        commands
    }

    pub(crate) fn n_nodes(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Node>> {
        // Nobody panics while holding the lock; and if so, every node in the list is whole.
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn next(nodes: &[Node], node: NodeId, command: &str) -> Option<Next> {
    let (_, edge) = nodes[node.0 as usize].children.iter().find(|(tried, _)| **tried == *command)?;
    match *edge {
        Edge::Refused => Some(Next::Refused),
        Edge::To(child) => nodes[child.0 as usize].answer.clone().map(|answer| Next::To(child, answer)),
    }
}

/// Whether an answer asks which of several things was meant.
fn is_question(answer: &str) -> bool {
    answer.starts_with("Ambiguous request")
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn scene() -> Scene {
        Scene::new(SceneKey { kind: "find-plant".into(), variation: 1 }, 1)
    }

    fn answer(text: &str) -> Answer {
        Answer { text: text.to_owned(), view: None, score: 0, is_complete: false }
    }

    #[track_caller]
    fn to(next: &Next) -> NodeId {
        match next {
            Next::To(node, _) => *node,
            Next::Refused => panic!("refused"),
        }
    }

    #[test]
    fn what_was_tried_is_known_and_the_way_there_too() {
        let scene = scene();
        let kitchen = to(&scene.remember(NodeId::ROOT, "go to kitchen", answer("You move to the kitchen.")));
        let apple = to(&scene.remember(kitchen, "pick up apple", answer("You move the apple to the inventory.")));
        assert_eq!(to(&scene.next(kitchen, "pick up apple").unwrap()), apple);
        assert!(scene.next(NodeId::ROOT, "pick up apple").is_none());
        let commands = |path: Vec<(String, Arc<Answer>)>| -> Vec<String> {
            path.into_iter().map(|(command, _)| command).collect()
        };
        assert_eq!(commands(scene.path(NodeId::ROOT, apple).unwrap()), ["go to kitchen", "pick up apple"]);
        assert_eq!(commands(scene.path(kitchen, apple).unwrap()), ["pick up apple"]);
        assert!(scene.path(apple, kitchen).is_none());
    }

    #[test]
    fn what_many_threads_find_out_at_once_is_one_node() {
        let scene = scene();
        let n_commands = 5_000;
        // Whoever is behind finds its commands known, and so catches up.
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for command in 0..n_commands {
                        scene.remember(NodeId::ROOT, &command.to_string(), answer("You did."));
                    }
                });
            }
        });
        assert_eq!(scene.n_nodes(), 1 + n_commands);
    }

    #[test]
    fn what_is_not_understood_leads_nowhere_except_after_a_question() {
        let scene = scene();
        assert!(matches!(scene.remember(NodeId::ROOT, "fly", answer(REFUSAL)), Next::Refused));
        assert!(matches!(scene.next(NodeId::ROOT, "fly").unwrap(), Next::Refused));
        let asked = to(&scene.remember(NodeId::ROOT, "open door", answer("Ambiguous request: Please enter ..")));
        assert_ne!(to(&scene.remember(asked, "fly", answer(REFUSAL))), asked);
        assert_eq!(scene.n_nodes(), 3);
    }

    #[test]
    fn records_make_the_same_scene_again_and_what_is_no_tree_makes_none() {
        let first = scene();
        let kitchen = to(&first.remember(NodeId::ROOT, "go to kitchen", answer("You move to the kitchen.")));
        first.remember(kitchen, "fly", answer(REFUSAL));
        first.remember_admissible(kitchen, vec!["look around".to_owned()]);
        assert_eq!(first.n_unsaved(), 3);
        let (records, n_taken) = first.take_records();
        assert_eq!((first.n_unsaved(), n_taken, records.len()), (0, 3, 2));
        first.return_unsaved(n_taken);
        assert_eq!(first.n_unsaved(), 3);

        let restore = |records| Scene::restore(first.key.clone(), 2, None, None, records);
        let second = restore(records.clone()).unwrap();
        assert_eq!(second.take_records(), (records.clone(), 0));
        assert!(matches!(second.next(kitchen, "fly").unwrap(), Next::Refused));
        assert_eq!(*second.admissible(kitchen).unwrap(), ["look around"]);
        let mut late = records.clone();
        late.swap(0, 1);
        let unknown = vec![records[0].clone(), NodeRecord { parent: 7, ..records[1].clone() }];
        for records in [Vec::new(), late, unknown] {
            assert!(restore(records.clone()).is_none(), "{records:?}");
        }
    }
}
