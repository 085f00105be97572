//! An episode as messages.

use serde_json::json;
use tollgate_rollout::Situation;
use tollgate_wire::{
    Arguments, ChatRequest, Content, Extra, FunctionCall, FunctionDefinition, Message, Role, Tool, ToolCall,
};

use super::parse::Parsed;

/// More tokens than any template puts around a message.
const FRAME_TOKENS: u32 = 16;
/// The tokens that most templates put around a message.
const TYPICAL_FRAME_TOKENS: u32 = 4;
/// Commands that a prompt lists; a world may offer thousands.
const MAX_LISTED: usize = 100;

const SYSTEM: &str = "You act in a world of text to get a task done. In every turn you give one command, and then you are told what came of it.";
const FORM: &str = "Answer in exactly this form, with nothing after it:\nThought: one short sentence about what to do next\nAction: one command";
const TOOL_FORM: &str = "Say one short sentence about what to do next, and call the tool `act` with one command.";

/// The name of the tool by which models act.
const TOOL: &str = "act";

/// A prompt, and what its size is made of.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Prompt {
    /// The messages: the system's, the task with the first observation, then answers and observations in turn.
    pub(super) request: ChatRequest,
    /// A tokenizer's count of all of it, with typical frames.
    pub(super) estimated_tokens: u32,
}

/// What of an episode a prompt shows.
pub(super) struct Scene<'a> {
    /// How the world is acted in.
    pub(super) manual: &'a str,
    /// The commands that it would take now.
    pub(super) admissible: &'a [String],
    /// The episode so far.
    pub(super) situation: &'a Situation<'a>,
    /// What the answers so far came to, one per turn.
    pub(super) answers: &'a [Parsed],
}

impl Prompt {
    /// The prompt of a scene, for a model that calls tools or one that does not.
    pub(super) fn of(scene: &Scene<'_>, has_tools: bool) -> Self {
        let situation = scene.situation;
        let form = if has_tools { TOOL_FORM } else { FORM };
        let manual = if scene.manual.is_empty() { String::new() } else { format!("\n\n{}", scene.manual.trim()) };
        let mut messages = Vec::with_capacity(2 + 2 * situation.turns.len());
        messages.push(Message::text(Role::System, format!("{SYSTEM}{manual}\n\n{form}")));
        let mut observations = situation.turns.iter().map(|turn| &turn.observation).chain([situation.observation]);
        let first = observations.next().map_or("", |observation| observation.text.as_str());
        let task = &situation.task.instruction;
        messages.push(Message::text(Role::User, format!("Task: {task}\n\nObservation: {first}")));
        for (step_idx, (turn, observation)) in situation.turns.iter().zip(observations).enumerate() {
            let unknown = || Parsed { thought: String::new(), command: turn.completion.clone() };
            let answer = scene.answers.get(step_idx).cloned().unwrap_or_else(unknown);
            messages.extend(turn_messages(step_idx, &answer, &observation.text, has_tools));
        }
        // Only the last message lists commands: the prompt stays short, and its prefix stays what the model has cached.
        if let (Some(last), false) = (messages.last_mut(), scene.admissible.is_empty())
            && let Some(Content::Text(text)) = &mut last.content
        {
            write_commands(scene.admissible, text);
        }
        let tools = if has_tools { vec![act_tool()] } else { Vec::new() };
        let request = ChatRequest { tools, ..ChatRequest::new("", messages) };
        let estimated_tokens = estimate(&request);
        Self { request, estimated_tokens }
    }

    /// More tokens than any tokenizer makes of the messages from `first` on: one per byte, and the frames.
    pub(super) fn token_bound(&self, first: usize) -> u32 {
        let messages = || self.request.messages.iter().skip(first);
        let tools = if first == 0 { tool_bytes(&self.request) } else { 0 };
        let bytes = messages().map(message_bytes).sum::<usize>() + tools;
        saturating(bytes) + FRAME_TOKENS * saturating(messages().count() + self.request.tools.len() + 1)
    }

    /// How many messages it has.
    pub(super) fn n_messages(&self) -> usize {
        self.request.messages.len()
    }
}

/// A tokenizer's count of a text: `OpenAI`'s newest vocabulary, which others differ from by a factor that is learned.
pub(super) fn count_tokens(text: &str) -> u32 {
    saturating(bpe_openai::o200k_base().count(text))
}

fn estimate(request: &ChatRequest) -> u32 {
    let of_call = |call: &ToolCall| TYPICAL_FRAME_TOKENS + count_tokens(arguments(call));
    let of_message = |message: &Message| {
        TYPICAL_FRAME_TOKENS + count_tokens(&message.words()) + message.tool_calls.iter().map(of_call).sum::<u32>()
    };
    let of_tool = |tool: &Tool| count_tokens(&serde_json::to_string(tool).unwrap_or_default());
    request.messages.iter().map(of_message).sum::<u32>() + request.tools.iter().map(of_tool).sum::<u32>()
}

fn message_bytes(message: &Message) -> usize {
    let of_call = |call: &ToolCall| call.function.name.len() + arguments(call).len() + 2 * FRAME_TOKENS as usize;
    message.words().len() + message.tool_calls.iter().map(of_call).sum::<usize>()
}

fn tool_bytes(request: &ChatRequest) -> usize {
    // Templates add blanks, line breaks and a few sentences about how to call; not as much as the schema again and 2 kB.
    let of_tool = |tool: &Tool| 2 * serde_json::to_string(tool).unwrap_or_default().len() + 2_048;
    request.tools.iter().map(of_tool).sum()
}

fn arguments(call: &ToolCall) -> &str {
    match &call.function.arguments {
        Some(Arguments::Text(text)) => text,
        _ => "",
    }
}

fn turn_messages(step_idx: usize, answer: &Parsed, observation: &str, has_tools: bool) -> [Message; 2] {
    let Parsed { thought, command } = answer;
    if !has_tools {
        let thought = if thought.is_empty() { String::new() } else { format!("Thought: {thought}\n") };
        let said = Message::text(Role::Assistant, format!("{thought}Action: {command}"));
        return [said, Message::text(Role::User, format!("Observation: {observation}"))];
    }
    let id = format!("call_{step_idx}");
    let function = FunctionCall {
        name: TOOL.to_owned(),
        arguments: Some(Arguments::Text(json!({ "command": command }).to_string())),
        extra: Extra::new(),
    };
    let call = ToolCall { id: Some(id.clone()), kind: Some("function".to_owned()), function, extra: Extra::new() };
    let said = Message { tool_calls: vec![call], ..Message::text(Role::Assistant, thought.clone()) };
    [said, Message::tool_result(id, observation)]
}

fn write_commands(admissible: &[String], out: &mut String) {
    out.push_str("\n\nCommands that the world takes now:");
    for command in admissible.iter().take(MAX_LISTED) {
        out.push_str("\n- ");
        out.push_str(command);
    }
    if admissible.len() > MAX_LISTED {
        out.push_str("\n- and others like them");
    }
}

fn act_tool() -> Tool {
    let parameters = json!({
        "type": "object",
        "properties": {"command": {"type": "string", "description": "The command, in the words of the world."}},
        "required": ["command"],
    });
    let function = FunctionDefinition {
        name: TOOL.to_owned(),
        description: Some("Gives one command to the world.".to_owned()),
        parameters: Some(parameters),
        extra: Extra::new(),
    };
    Tool { kind: "function".to_owned(), function, extra: Extra::new() }
}

fn saturating(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX).min(u32::MAX / 64)
}

#[cfg(test)]
mod tests {
    use tollgate_routing::{ModelIndex, NanoUsd, Observation, Split, Task, TaskId, TokenUsage, Turn};

    use super::*;

    fn turn(observation: String) -> Turn {
        Turn {
            observation: Observation::from_text(observation),
            action: ModelIndex::SMALL,
            completion: "look".to_owned(),
            usage: TokenUsage::default(),
            cost: NanoUsd::ZERO,
            latency_ms: 0,
        }
    }

    fn prompt(n_turns: usize, has_tools: bool, admissible: &[String]) -> Prompt {
        let task = Task {
            id: TaskId::new("t"),
            environment: "household".into(),
            split: Split::Train,
            seed: 1,
            instruction: "Bring a mug.".into(),
            horizon: 30,
            kind: None,
            group: None,
        };
        let observation = Observation::from_text(format!("You see {n_turns} mugs."));
        let turns: Vec<Turn> = (0..n_turns).map(|n| turn(format!("You see {n} mugs."))).collect();
        let answers: Vec<Parsed> =
            (0..n_turns).map(|n| Parsed { thought: format!("Thought {n}."), command: "look".into() }).collect();
        let situation = Situation { task: &task, turns: &turns, observation: &observation };
        Prompt::of(&Scene { manual: "Be kind.", admissible, situation: &situation, answers: &answers }, has_tools)
    }

    #[test]
    fn a_prompt_is_thought_action_and_observation_in_turn() {
        let prompt = prompt(1, false, &["look".to_owned(), "wait".to_owned()]);
        let words: Vec<_> = prompt.request.messages.iter().map(|message| message.words().into_owned()).collect();
        assert!(words[0].starts_with(SYSTEM) && words[0].contains("Be kind.") && words[0].ends_with(FORM));
        assert_eq!(words[1], "Task: Bring a mug.\n\nObservation: You see 0 mugs.");
        assert_eq!(words[2], "Thought: Thought 0.\nAction: look");
        assert_eq!(words[3], "Observation: You see 1 mugs.\n\nCommands that the world takes now:\n- look\n- wait");
        assert_eq!(prompt.n_messages(), 4);
    }

    #[test]
    fn with_tools_each_turn_is_a_call_and_its_result() {
        let prompt = prompt(2, true, &[]);
        let messages = &prompt.request.messages;
        assert_eq!(messages[2].tool_calls[0].function.name, "act");
        assert_eq!(messages[3].tool_call_id, messages[2].tool_calls[0].id);
        assert_ne!(messages[3].tool_call_id, messages[5].tool_call_id);
        assert_eq!(messages[3].words(), "You see 1 mugs.");
        assert_eq!(prompt.request.tools.len(), 1);
    }

    #[test]
    fn a_prompt_is_a_prefix_of_the_next_one_but_for_the_list_of_commands() {
        for has_tools in [false, true] {
            let (earlier, later) = (prompt(3, has_tools, &["look".into()]), prompt(4, has_tools, &["look".into()]));
            let n_shared = earlier.n_messages() - 1;
            assert_eq!(earlier.request.messages[..n_shared], later.request.messages[..n_shared]);
            let shared = later.request.messages[n_shared].words().into_owned();
            assert!(earlier.request.messages[n_shared].words().starts_with(&shared));
        }
    }

    #[test]
    fn the_bound_is_above_any_count() {
        for has_tools in [false, true] {
            let prompt = prompt(5, has_tools, &["look".to_owned()]);
            let body = serde_json::to_string(&prompt.request).unwrap();
            assert!(prompt.estimated_tokens < prompt.token_bound(0));
            assert!(count_tokens(&body) < prompt.token_bound(0));
            assert!(prompt.token_bound(4) < prompt.token_bound(0));
        }
    }

    #[test]
    fn a_world_that_offers_thousands_of_commands_is_cut_short() {
        let admissible: Vec<String> = (0..5_000).map(|n| format!("take mug {n}")).collect();
        let prompt = prompt(0, false, &admissible);
        let words = prompt.request.messages[1].words().into_owned();
        assert!(words.contains("take mug 99") && !words.contains("take mug 100"));
        assert!(words.ends_with("- and others like them"));
    }
}
