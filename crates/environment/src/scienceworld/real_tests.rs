//! Against the real simulator, where it is installed; where it is not, the tests say so and pass, unless CI is set.

use std::path::Path;
use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process};
use tollgate_rollout::Environment;
use tollgate_routing::{Split, Task, TaskId};

use super::transitions::SceneKey;
use super::{ENVIRONMENT, HORIZON, Offers, ScienceWorld, ScienceWorldEnvironment, ScienceWorldSettings};
use crate::TextWorld;

/// Short scenes of different kinds: a search and a circuit.
const SCENES: [(&str, i32); 2] = [("find-living-thing", 68), ("power-component", 4)];

/// A scene whose expert's path was another one when the JVM had solved it before.
const SEARCH: (&str, i32) = ("chemistry-mix-paint-tertiary-color", 5);

fn world() -> Option<Arc<ScienceWorld>> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python");
    let settings = |python| ScienceWorldSettings { python, ..ScienceWorldSettings::default() };
    let found = ScienceWorld::new(settings(Some(python))).or_else(|_| ScienceWorld::new(settings(None)));
    if let Err(error) = &found {
        assert!(std::env::var_os("CI").is_none(), "{error}");
        eprintln!("not tested against the real simulator: {error}");
    }
    found.ok().map(Arc::new)
}

fn task(world: &ScienceWorld, (kind, variation): (&str, i32)) -> Task {
    let mut held = None;
    let scene = world.scene(&SceneKey { kind: kind.into(), variation });
    let opening = world.opening(&mut held, &scene).unwrap();
    world.give_back(&mut held);
    Task {
        id: TaskId::new(kind),
        environment: ENVIRONMENT.into(),
        split: Split::Test,
        seed: variation as u64,
        instruction: opening.description.as_str().into(),
        horizon: HORIZON,
        kind: Some(kind.into()),
        group: None,
    }
}

/// What is seen when `commands` are said, and the score in the end.
fn play(player: &mut ScienceWorldEnvironment, task: &Task, commands: &[String]) -> (Vec<String>, f32) {
    let mut seen = vec![player.reset(task, 0).unwrap().text];
    seen.extend(commands.iter().map(|command| player.step(command).unwrap().observation.text));
    (seen, player.outcome().score)
}

/// Follows the expert from where the player is.
fn follow(player: &mut ScienceWorldEnvironment) -> Vec<String> {
    let mut commands = Vec::new();
    while let (false, Some(command)) = (player.outcome().is_success, player.expert().map(str::to_owned)) {
        assert!(commands.len() < HORIZON as usize, "{commands:?}");
        player.step(&command).unwrap();
        commands.push(command);
    }
    commands
}

#[test]
fn answers_depend_on_the_commands_alone_even_when_the_jvm_is_killed() {
    let (Some(world), Some(other)) = (world(), world()) else { return };
    let mut player = ScienceWorldEnvironment::new(world.clone(), Offers::Exact);
    let mut transcripts = Vec::new();
    for scene in SCENES {
        let task = task(&world, scene);
        player.reset(&task, 0).unwrap();
        // Off the expert's path, which is played and remembered as soon as a scene is opened.
        let mut commands = vec!["inventory".to_owned()];
        player.step(&commands[0]).unwrap();
        commands.extend(follow(&mut player));
        assert!(player.outcome().is_success, "{}", task.id);
        let transcript = play(&mut player, &task, &commands);
        transcripts.push((task, commands, transcript));
    }
    // Another memory, other JVMs, another order, and a kill in the middle.
    let mut player = ScienceWorldEnvironment::new(other.clone(), Offers::Exact);
    for (task, commands, transcript) in transcripts.iter().rev() {
        let (first, rest) = commands.split_at(commands.len() / 2);
        let (mut seen, _) = play(&mut player, task, first);
        let jvm = Pid::from_raw(player.jvm().unwrap().cast_signed()).unwrap();
        kill_process(jvm, Signal::KILL).unwrap();
        seen.extend(rest.iter().map(|command| player.step(command).unwrap().observation.text));
        assert_eq!((&seen, player.outcome().score), (&transcript.0, transcript.1));
    }
    assert!(other.usage().n_started > SCENES.len() as u64, "{:?}", other.usage());
}

#[test]
fn questions_and_what_is_not_understood_change_nothing() {
    let Some(world) = world() else { return };
    let task = task(&world, SCENES[0]);
    let mut player = ScienceWorldEnvironment::new(world.clone(), Offers::Exact);
    player.reset(&task, 0).unwrap();
    let commands = follow(&mut player);
    let plain = play(&mut player, &task, &commands);

    // A memory of its own, so that the simulator is asked again.
    let other = Arc::new(ScienceWorld::new(world.settings().clone()).unwrap());
    let mut player = ScienceWorldEnvironment::new(other, Offers::Exact);
    let mut seen = vec![player.reset(&task, 0).unwrap().text];
    for (position, command) in commands.iter().enumerate() {
        assert!(position > 2 || player.admissible().iter().any(|offered| offered == "look around"));
        let refused = player.step("fly to the moon").unwrap();
        assert_eq!(refused.observation.text, super::simulator::REFUSAL);
        seen.push(player.step(command).unwrap().observation.text);
    }
    assert_eq!((seen, player.outcome().score), plain);
}

#[test]
fn what_is_admissible_does_not_depend_on_what_was_asked_before() {
    let Some(world) = world() else { return };
    let task = task(&world, SCENES[0]);
    let offered = |world: Arc<ScienceWorld>, asks_at_first: bool| {
        let mut player = ScienceWorldEnvironment::new(world, Offers::Exact);
        player.reset(&task, 0).unwrap();
        assert!(!asks_at_first || !player.admissible().is_empty());
        // Many pots of paint, named by lot.
        player.step("teleport to art studio").unwrap();
        player.admissible().to_vec()
    };
    let other = Arc::new(ScienceWorld::new(world.settings().clone()).unwrap());
    assert_eq!(offered(world, true), offered(other, false));
}

#[test]
fn the_experts_path_does_not_depend_on_what_was_solved_before() {
    let Some(world) = world() else { return };
    let mut held = None;
    // Begins where it searches: the second time, the JVM would know the walk.
    let mut path = || world.ask_anywhere(&mut held, |simulator| simulator.gold_path(SEARCH.0, SEARCH.1)).unwrap();
    assert_eq!(path(), path());
    world.give_back(&mut held);
}

#[test]
fn the_expert_makes_deviations_good_and_a_wrong_focus_ends_the_task() {
    let Some(world) = world() else { return };
    let task = task(&world, SCENES[0]);
    let mut player = ScienceWorldEnvironment::new(world, Offers::Exact);
    for deviation in [&["go to kitchen", "go to bedroom"][..], &["pick up axe"], &["teleport to workshop"]] {
        player.reset(&task, 0).unwrap();
        for command in deviation {
            player.step(command).unwrap();
        }
        follow(&mut player);
        assert!(player.outcome().is_success, "after {deviation:?}");
    }
    player.reset(&task, 0).unwrap();
    let transition = player.step("focus on axe").unwrap();
    assert!(transition.terminated && !player.outcome().is_success);
    assert!(player.outcome().score.abs() < f32::EPSILON);
}
