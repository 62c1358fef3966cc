//! Default secrets: no configuration starts with a secret that everybody knows.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use toml::{Table, Value};

use crate::program::{Said, run, run_with_input};
use crate::world::World;

/// Runs `check` on the world's config with one value changed.
fn with(world: &World, section: &str, key: &str, value: &str) -> Said {
    let mut config = world.config.clone();
    let table = section.split('.').fold(&mut config, |table, name| {
        let inner = table
            .entry(name)
            .or_insert_with(|| Value::Table(Table::new()));
        inner.as_table_mut().unwrap()
    });
    table.insert(key.to_owned(), value.into());
    let file = world.dir.path().join("changed.toml");
    fs::write(&file, toml::to_string(&config).unwrap()).unwrap();
    run(
        world.dir.path(),
        &["serve", "--config", "changed.toml"],
        &[],
    )
}

#[test]
fn a_server_does_not_start_with_an_empty_or_well_known_secret() {
    let zeros = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let letters = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=";
    let world = World::start();
    for (section, key, value) in [
        ("token", "salt", ""),
        ("token", "salt", "salt"),
        ("token", "salt", "changeme"),
        ("token", "salt", "your-salt-here"),
        ("store", "field_key", ""),
        ("store", "field_key", zeros),
        ("store", "field_key", letters),
        ("store", "field_key", "c2hvcnQ="),
        ("wechat", "secret", ""),
        ("wechat", "secret", "your_app_secret"),
        ("wechat", "message_token", "weixin"),
        ("wechat.pay", "v2_key", "192006250b4c09247ec02edce69f6a2d"),
        ("wechat.pay", "v2_key", "00000000000000000000000000000000"),
        ("wechat.pay", "v3_key", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("server", "metrics_token", "secret"),
    ] {
        let said = with(&world, section, key, value);
        assert_eq!(said.code, Some(2), "{section}.{key} = {value}: {said:?}");
        let title = format!("[{section}] {key}");
        assert!(said.err.contains(&title), "{title}: {said:?}");
        let telling = value.len() > 8 && said.err.contains(value);
        assert!(!telling, "the fault tells the value: {said:?}");
    }
}

#[test]
fn the_example_starts_only_once_its_secrets_are_filled() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = tempfile::tempdir().unwrap();
    fs::copy(
        top.join("config.toml.example"),
        dir.path().join("config.toml"),
    )
    .unwrap();
    let said = run(dir.path(), &["serve"], &[]);
    assert_eq!(said.code, Some(2), "{said:?}");
    for title in ["[token] salt", "[store] field_key", "[wechat] secret"] {
        assert!(said.err.contains(title), "{title}: {said:?}");
    }
}

#[test]
fn init_writes_other_secrets_every_time() {
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        let dir = tempfile::tempdir().unwrap();
        let said = run(dir.path(), &["init", "--appid", "wx0123456789abcdef"], &[]);
        assert_eq!(said.code, Some(0), "{said:?}");
        let text = fs::read_to_string(dir.path().join("config.toml")).unwrap();
        let config: Table = text.parse().unwrap();
        for (section, key) in [("token", "salt"), ("store", "field_key")] {
            let value = config[section][key].as_str().unwrap().to_owned();
            assert!(value.len() >= 32, "{key}");
            assert!(seen.insert(value), "{key} was written before");
        }
    }
}

#[test]
fn there_is_no_admin_and_no_key_until_one_is_made_and_none_with_a_common_password() {
    let world = World::start();
    for (name, password) in [
        ("admin", "admin"),
        ("admin", "password"),
        ("root", "root"),
        ("zhanggui", "zhanggui"),
        ("", ""),
    ] {
        let body = serde_json::json!({ "username": name, "password": password });
        let reply = crate::sessions::try_login(&world, &[], &body);
        assert!(
            [400, 401].contains(&reply.status),
            "{name}: {}",
            reply.text()
        );
    }
    for password in [
        "",
        "admin",
        "password123",
        "1234567890",
        "admin-admin",
        "aaaaaaaaaaaa",
    ] {
        let args = [
            "admin",
            "create",
            "admin",
            "--password-stdin",
            "--config",
            "config.toml",
        ];
        let said = run_with_input(world.dir.path(), &args, &format!("{password}\n"));
        assert_eq!(said.code, Some(1), "{password}: {said:?}");
    }
}
