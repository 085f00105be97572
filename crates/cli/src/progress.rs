//! Progress bars: on a terminal only, on stderr.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar for `n_items` pieces of work; invisible when stderr is no terminal.
pub(crate) fn bar(label: &'static str, n_items: usize) -> ProgressBar {
    // `stderr()` draws nothing when stderr is not a terminal.
    let bar = ProgressBar::with_draw_target(Some(n_items as u64), ProgressDrawTarget::stderr());
    let template = "{msg:>12} [{bar:40}] {pos}/{len} ({eta} left)";
    bar.set_style(
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "),
    );
    bar.set_message(label);
    bar
}
