//! The template engine around the page.

use anyhow::{Context, Result};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};

use super::model::ReportInputs;
use super::{theme, view};

/// Every template by the name that the others include it by.
const TEMPLATES: [(&str, &str); 8] = [
    ("page.html", include_str!("templates/page.html")),
    ("macros.html", include_str!("templates/macros.html")),
    ("headline.html", include_str!("templates/headline.html")),
    ("comparison.html", include_str!("templates/comparison.html")),
    ("taxonomy.html", include_str!("templates/taxonomy.html")),
    ("training.html", include_str!("templates/training.html")),
    ("episodes.html", include_str!("templates/episodes.html")),
    ("setup.html", include_str!("templates/setup.html")),
];

/// The page as one HTML document. Everything that comes from a model or a file is escaped: only plots and the style sheet are
/// marked as safe, and both are ours.
///
/// # Errors
/// When a plot cannot be drawn or a template does not fit its view.
pub(super) fn render(inputs: &ReportInputs) -> Result<String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    for (name, source) in TEMPLATES {
        environment.add_template(name, source).with_context(|| format!("template {name}"))?;
    }
    let style = theme::style_sheet() + include_str!("templates/page.css");
    let template = environment.get_template("page.html")?;
    let page = view::page(inputs)?;
    let html = template.render(context! {
        page => Value::from(Serde(&page)),
        style => Value::from_safe_string(style),
        script => Value::from_safe_string(include_str!("templates/page.js").to_owned()),
    })?;
    Ok(html)
}
