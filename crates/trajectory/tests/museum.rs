//! Files of every version of the contract stay readable, with the values that were written.
//!
//! `tests/compat/v1` holds one small file per artifact, written when version 1 was new. Never write one anew: what has to
//! be read is what older builds wrote. A file that is not there yet is made by
//! `TOLLGATE_EXTEND_MUSEUM=1 cargo test -p tollgate-trajectory --test museum`.

#![expect(clippy::unwrap_used, reason = "a test file: helpers fail as tests do")]

#[path = "../../contract/tests/exhibits/mod.rs"]
mod exhibits;

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use exhibits::{episodes, evaluations, examples, frontier, labels, steps, tasks, training_log};
use tollgate_contract::{ArtifactKind, ArtifactRow, EpisodeRow};
use tollgate_routing::Ending;
use tollgate_trajectory::{read_rows, write_rows};

fn museum() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compat/v1")
}

#[track_caller]
fn check_readable<R: ArtifactRow + Debug + PartialEq + Clone>(expected: &[R]) {
    check_readable_in(&museum(), expected);
}

#[track_caller]
fn check_readable_in<R: ArtifactRow + Debug + PartialEq + Clone>(directory: &Path, expected: &[R]) {
    let path = directory.join(R::KIND.file_name());
    if !path.exists() && std::env::var_os("TOLLGATE_EXTEND_MUSEUM").is_some() {
        write_rows(&path, expected.to_vec()).unwrap();
    }
    assert_eq!(read_rows::<R>(&path).unwrap(), expected);
}

#[test]
fn files_of_version_1_are_read_with_the_values_that_were_written() {
    check_readable(&tasks());
    check_readable(&episodes());
    check_readable(&steps());
    check_readable(&labels());
    check_readable(&examples());
    check_readable(&training_log());
    check_readable(&evaluations());
    check_readable(&frontier());
}

#[test]
fn an_episode_that_was_given_up_is_read_as_such() {
    let given_up = EpisodeRow { ending: Ending::GaveUp, ..episodes().remove(3) };
    check_readable_in(&museum().join("given_up"), &[given_up]);
}

#[test]
fn every_artifact_has_an_exhibit() {
    for kind in ArtifactKind::ALL {
        assert!(museum().join(kind.file_name()).exists(), "{kind}");
    }
}
