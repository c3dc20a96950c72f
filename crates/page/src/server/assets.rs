//! The files of the page, which are a part of the executable.

use super::of;
use axum::http::StatusCode;
use axum::response::Response;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// All of them. Where uPlot comes from is told in web/vendor/README.md.
const ASSETS: &[(&str, &str, &str)] = &[
    ("/", HTML, include_str!("../../web/index.html")),
    ("/page.css", CSS, include_str!("../../web/page.css")),
    ("/page.js", SCRIPT, include_str!("../../web/page.js")),
    ("/charts.js", SCRIPT, include_str!("../../web/charts.js")),
    ("/format.js", SCRIPT, include_str!("../../web/format.js")),
    ("/history.js", SCRIPT, include_str!("../../web/history.js")),
    ("/tables.js", SCRIPT, include_str!("../../web/tables.js")),
    ("/uplot.js", SCRIPT, include_str!("../../web/vendor/uplot.js")),
    ("/uplot.css", CSS, include_str!("../../web/vendor/uplot.css")),
    ("/favicon.svg", "image/svg+xml", include_str!("../../web/favicon.svg")),
];

pub(super) fn find(path: &str) -> Option<Response> {
    let path = if path == "/favicon.ico" { "/favicon.svg" } else { path };
    let (_, media_type, text) = ASSETS.iter().find(|(known, ..)| *known == path)?;
    Some(of(StatusCode::OK, media_type, (*text).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_vendored_is_what_its_readme_says() {
        let readme = include_str!("../../web/vendor/README.md");
        let files: [&[u8]; 3] = [
            include_bytes!("../../web/vendor/uplot.js"),
            include_bytes!("../../web/vendor/uplot.css"),
            include_bytes!("../../web/vendor/uplot-LICENSE"),
        ];
        for file in files {
            let digest = ring::digest::digest(&ring::digest::SHA256, file);
            let hex: Vec<String> = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(readme.contains(&hex.concat()), "{}", hex.concat());
        }
    }

    #[test]
    fn the_page_names_nothing_that_is_not_served_here() {
        let html = include_str!("../../web/index.html");
        let links: Vec<&str> = ["href=\"", "src=\""]
            .iter()
            .flat_map(|attribute| html.split(attribute).skip(1))
            .filter_map(|text| text.split('"').next())
            .filter(|link| !link.starts_with('#'))
            .collect();
        assert!(links.len() > 4, "{links:?}");
        for link in links {
            assert!(find(&format!("/{link}")).is_some(), "{link}");
        }
        // Behind a proxy it may be below a path.
        for (name, _, text) in ASSETS.iter().filter(|(name, media, _)| *media == SCRIPT && *name != "/uplot.js") {
            assert!(!["'/", "\"/", "`/"].iter().any(|root| text.contains(root)), "{name} has an address from the root");
        }
        assert!(
            !html.contains(" style=") && !html.contains("<script>"),
            "the policy forbids what stands in the page itself"
        );
    }
}
