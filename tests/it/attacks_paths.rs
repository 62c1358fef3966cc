//! Known attacks through paths: climbing, encoding, whole addresses.

use crate::attacks::routes;
use crate::world::World;

/// A path written so that a careless server would take it for `path`.
fn disguises(path: &str) -> Vec<String> {
    let bare = &path[1..];
    let encoded: String = bare.bytes().map(|byte| format!("%{byte:02x}")).collect();
    vec![
        format!("/{path}"),
        format!("/.{path}"),
        format!("/x/..{path}"),
        format!("/x/%2e%2e{path}"),
        format!("/%2e{path}"),
        format!("/x/..%2f{bare}"),
        format!("/x%2f..{path}"),
        format!("/%252e%252e{path}"),
        format!("/%c0%ae%c0%ae{path}"),
        format!("/x/..%c0%af{bare}"),
        format!("/..;{path}"),
        format!("/\\{bare}"),
        format!("/{}", bare.replace('/', "\\")),
        format!("/{}", bare.replace('/', "%2f")),
        format!("/{}", bare.replace('/', "//")),
        format!("/{}", bare.replace('/', "/./")),
        format!("/{}", bare.to_uppercase()),
        format!("/{encoded}"),
        format!("{path};x"),
        format!("{path};jsessionid=1"),
        format!("{path}%00"),
        format!("{path}%00.png"),
        format!("{path}/"),
        format!("{path}/."),
        format!("{path}/../x"),
        format!("{path}%20"),
        format!("{path}%3f"),
        format!("{path}%23"),
        format!("{path}.json"),
    ]
}

#[test]
fn a_path_in_disguise_leads_nowhere() {
    let world = World::with(|setup| {
        setup.may_be_refused = true;
        setup.more.push(("admin.listen", "127.0.0.1:0".into()));
    });
    let buyer = world.buyer();
    for (method, pattern) in routes() {
        let filled = pattern.replace("{order_no}", "20260101000000ABCDEFGHIJ");
        let filled = filled.replace("{id}", "1").replace("{date}", "2026-01-01");
        let filled = filled.replace(['{', '}'], "");
        let mut targets = disguises(&filled);
        // A path of one part has no slash to disguise.
        targets.retain(|target| *target != filled);
        if pattern.starts_with("/admin/") {
            // The merchant's routes are not on this listener, however they are asked for.
            targets.push(filled.clone());
            targets.push(format!("http://127.0.0.1{filled}"));
            targets.push(format!("http://evil.example{filled}"));
            targets.push(format!("{filled}?"));
        }
        for target in targets {
            for bearer in ["none", &buyer.caller.bearer] {
                let headers = [("authorization", bearer)];
                let reply = world
                    .anyone()
                    .send(&method, &target, &headers, b"{}")
                    .unwrap();
                // What is not decoded may be the name of an order, and then a token is asked for.
                let named = reply.status == 401 && bearer == "none" && target.starts_with("/api/");
                let lost = [400, 404, 405].contains(&reply.status) || named;
                assert!(lost, "{method} {target}: {} {}", reply.status, reply.text());
            }
        }
    }
}

#[test]
fn a_whole_address_in_the_request_line_is_the_same_path_and_no_other() {
    let world = World::with(|setup| setup.may_be_refused = true);
    let merchant = world.merchant();
    let headers = [("authorization", merchant.caller.bearer.as_str())];
    for (target, status) in [
        ("http://evil.example/admin/v1/goods", 200),
        ("http://evil.example//admin/v1/goods", 404),
        ("http://evil.example/api/../admin/v1/goods", 404),
        ("http://admin/v1/goods", 404),
        ("ftp://evil.example/healthz", 200),
        ("*", 404),
    ] {
        let reply = world.anyone().send("GET", target, &headers, b"").unwrap();
        assert_eq!(reply.status, status, "{target}: {}", reply.text());
    }
}
