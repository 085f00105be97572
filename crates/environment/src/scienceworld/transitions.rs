//! What the simulator answered, remembered.
//!
//! The simulator is deterministic: a task's variation and the list of commands decide every answer (with the JVM's hash codes
//! held fixed, and whatever it played before; a test against the real simulator says so). So each variation keeps a tree of
//! command prefixes, and the simulator is stepped only where nobody has been yet. A command that it does not understand changes
//! nothing, and leads back to where it was said.
//!
//! The trees are shared by all threads of the process, and the longest unused ones are forgotten when they grow too large.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

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
    /// How the expert does it.
    pub(crate) gold_path: OnceLock<Arc<GoldPath>>,
    nodes: Mutex<Vec<Node>>,
    last_used: AtomicU64,
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
            gold_path: OnceLock::new(),
            nodes: Mutex::new(vec![root]),
            last_used: AtomicU64::new(0),
        }
    }

    /// Where `command` leads from `node`, if anybody tried.
    pub(crate) fn next(&self, node: NodeId, command: &str) -> Option<Next> {
        let nodes = self.lock();
        let (_, edge) = nodes[node.0 as usize].children.iter().find(|(tried, _)| **tried == *command)?;
        match *edge {
            Edge::Refused => Some(Next::Refused),
            Edge::To(child) => nodes[child.0 as usize].answer.clone().map(|answer| Next::To(child, answer)),
        }
    }

    /// Remembers where `command` led. Two threads may have found out at the same time: the first one's node stays.
    pub(crate) fn remember(&self, node: NodeId, command: &str, answer: Answer) -> Next {
        if let Some(known) = self.next(node, command) {
            return known;
        }
        let mut nodes = self.lock();
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
        self.lock()[node.0 as usize].admissible = Some(commands.clone());
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

/// Whether an answer asks which of several things was meant.
fn is_question(answer: &str) -> bool {
    answer.starts_with("Ambiguous request")
}

#[cfg(test)]
mod tests {
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
    fn what_is_not_understood_leads_nowhere_except_after_a_question() {
        let scene = scene();
        assert!(matches!(scene.remember(NodeId::ROOT, "fly", answer(REFUSAL)), Next::Refused));
        assert!(matches!(scene.next(NodeId::ROOT, "fly").unwrap(), Next::Refused));
        let asked = to(&scene.remember(NodeId::ROOT, "open door", answer("Ambiguous request: Please enter ..")));
        assert_ne!(to(&scene.remember(asked, "fly", answer(REFUSAL))), asked);
        assert_eq!(scene.n_nodes(), 3);
    }
}
