//! `serve --domain` over configurations that leave things open, and over some that do not.

use std::net::SocketAddr;

use super::tests::least;
use super::*;

const SHOP: &str = "shop.example.com";

fn with(text: &str, names: &[&str]) -> Result<Config, Vec<Fault>> {
    let domains = Domains {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        email: Some("boss@example.com".to_owned()),
    };
    let mut settled = settle::settle(&format!("{}{text}", least()), std::iter::empty());
    domain::apply(&mut settled, &domains);
    let survey = surveyed(settled);
    survey.config.ok_or(survey.faults)
}

fn acme(config: &Config) -> &Acme {
    match &config.server.tls {
        Tls::Acme(acme) => acme,
        tls => panic!("{tls:?}"),
    }
}

#[test]
fn a_domain_alone_is_enough_for_https_on_443_and_80() {
    let init = include_str!("../../../config.toml.example");
    let init = init.replace(
        "public_url = \"https://shop.example.com\"",
        "public_url = \"\"",
    );
    let (server, _) = init.split_once("[store]").unwrap();
    for text in ["", server] {
        let config = with(text, &[SHOP]).unwrap();
        assert_eq!(config.server.listen.to_string(), "0.0.0.0:443");
        assert_eq!(config.server.public_url, "https://shop.example.com");
        let http: SocketAddr = "0.0.0.0:80".parse().unwrap();
        assert_eq!(config.server.http_listen, HttpListen::IfFree(http));
        let acme = acme(&config);
        assert_eq!(acme.domains, [SHOP]);
        assert_eq!(acme.email, "boss@example.com");
        assert_eq!(
            acme.directory,
            "https://acme-v02.api.letsencrypt.org/directory"
        );
    }
}

#[test]
fn what_the_file_has_chosen_stays() {
    let text = "[server]\nlisten = \"127.0.0.1:8443\"\n\
                public_url = \"https://shop.example.com:8443/x\"\n\
                [server.tls]\nmode = \"acme\"\n\
                acme_domains = [\"b.example.com\", \"SHOP.example.com\"]\n\
                acme_directory = \"https://acme.example.com/dir\"\n\
                http_listen = \"127.0.0.1:81\"\n";
    let config = with(text, &[SHOP, "b.example.com"]).unwrap();
    assert_eq!(config.server.listen.port(), 8443);
    assert_eq!(config.server.public_url, "https://shop.example.com:8443/x");
    let http: SocketAddr = "127.0.0.1:81".parse().unwrap();
    assert_eq!(config.server.http_listen, HttpListen::At(http));
    assert_eq!(acme(&config).domains, ["b.example.com", SHOP]);
    assert_eq!(acme(&config).directory, "https://acme.example.com/dir");
}

#[test]
fn what_the_file_says_otherwise_is_a_fault_at_its_line() {
    for (text, line, key) in [
        (
            "[server.tls]\nmode = \"files\"\ncert_file = \"c\"\nkey_file = \"k\"",
            9,
            "[server.tls] mode",
        ),
        (
            "[server.tls]\nacme_domains = [\"other.example.com\"]",
            9,
            "[server.tls] acme_domains",
        ),
        (
            "[server.tls]\n\nacme_email = \"else@example.com\"",
            10,
            "[server.tls] acme_email",
        ),
        (
            "[server]\npublic_url = \"https://other.example.com\"",
            9,
            "[server] public_url",
        ),
        (
            "[server]\npublic_url = \"http://127.0.0.1\"",
            9,
            "[server] public_url",
        ),
    ] {
        let faults = with(text, &[SHOP]).unwrap_err();
        let found = faults.iter().any(|fault| {
            let at = (fault.place == Place::Line(line), fault.kind);
            fault.key == key && at == (true, FaultKind::Conflict)
        });
        assert!(found, "{key}: {faults:?}");
    }
}
