//! `zhanggui init`: writes a configuration that works, with a fresh salt and field key.
//!
//! The file is `config.toml.example` with values filled in, so that it explains itself. It never
//! overwrites, and only its owner can read it.

use std::fs::OpenOptions;
use std::io::{BufRead, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use data_encoding::BASE64;

use super::args::Init;
use super::config::{self, Fault, FaultKind};
use super::exit::Failure;
use super::term;
use crate::base::secret::{random, random_text};

const EXAMPLE: &str = include_str!("../../config.toml.example");

/// A value to fill in: table, key, text. A key of the form `<secret>_file` replaces its secret.
type Filled = (&'static str, &'static str, String);

/// Where answers come from when there is a person to ask.
pub(super) type Answers<'a> = Option<&'a mut dyn BufRead>;

/// Writes the configuration to `path`.
///
/// # Errors
/// [`Failure::Failed`] when there is a file already or it cannot be written; [`Failure::Wrong`]
/// when what was given breaks a rule, and then nothing is written.
pub fn run(path: &Path, given: Init, answers: Answers<'_>) -> Result<(), Failure> {
    if path.exists() {
        let path = path.display();
        return Err(Failure::Failed(format!(
            "{path} 已存在，不覆盖。处理：换个名字或先移走它。"
        )));
    }
    let mut filled = fresh();
    filled.extend(flags(given));
    if let Some(answers) = answers {
        questions(&mut filled, answers)?;
    }
    let text = fill(&filled);
    let faults = faults(&text);
    let wrong: Vec<_> = faults
        .iter()
        .filter(|fault| fault.kind != FaultKind::Missing)
        .collect();
    if !wrong.is_empty() {
        let lines: Vec<_> = wrong.iter().map(|fault| plainly(fault)).collect();
        return Err(Failure::Wrong(format!(
            "没有写文件：\n{}",
            lines.join("\n")
        )));
    }
    write(path, &text)
        .map_err(|why| Failure::failed(&format!("写不了 {}", path.display()), why))?;
    term::say(format!(
        "已生成 {}（权限 0600）。field_key 请另存一份。",
        path.display()
    ));
    for fault in &faults {
        term::say(format!("还缺  {}", plainly(fault)));
    }
    let next = if faults.is_empty() { "serve" } else { "check" };
    term::say(format!(
        "下一步：zhanggui --config {} {next}",
        path.display()
    ));
    Ok(())
}

fn fresh() -> Vec<Filled> {
    vec![
        ("server", "public_url", String::new()),
        ("store", "field_key", BASE64.encode(&random::<32>())),
        ("token", "salt", random_text(32)),
    ]
}

fn flags(given: Init) -> Vec<Filled> {
    const PAY: &str = "wechat.pay";
    let all = [
        ("server", "listen", given.listen),
        ("server", "public_url", given.public_url),
        ("store", "data_dir", given.data_dir),
        ("wechat", "appid", given.appid),
        ("wechat", "secret_file", given.secret_file),
        (PAY, "version", given.pay_version),
        (PAY, "mchid", given.mchid),
        (PAY, "v2_key_file", given.v2_key_file),
        (PAY, "v3_key_file", given.v3_key_file),
        (PAY, "merchant_serial", given.merchant_serial),
        (PAY, "merchant_key_file", given.merchant_key_file),
        (PAY, "wechat_public_key_id", given.wechat_public_key_id),
        (PAY, "wechat_public_key_file", given.wechat_public_key_file),
    ];
    all.into_iter()
        .filter_map(|(section, name, text)| Some((section, name, text?)))
        .collect()
}

/// What is asked: table, key, question. All of it may be left empty and filled in later.
const BASICS: [(&str, &str, &str); 4] = [
    ("wechat", "appid", "小程序 AppID（小程序后台 → 开发设置）"),
    ("wechat", "secret", "小程序 AppSecret（同一页面）"),
    (
        "server",
        "public_url",
        "微信访问本店的地址，如 https://shop.example.com",
    ),
    ("wechat.pay", "mchid", "商户号（不收款就留空）"),
];

/// What is asked of a shop with a merchant number.
const V3: [(&str, &str, &str); 5] = [
    ("wechat.pay", "v3_key", "APIv3 密钥（商户平台 → API 安全）"),
    ("wechat.pay", "merchant_serial", "商户证书序列号"),
    (
        "wechat.pay",
        "merchant_key_file",
        "商户私钥文件 apiclient_key.pem 的路径",
    ),
    (
        "wechat.pay",
        "wechat_public_key_id",
        "微信支付公钥 ID（PUB_KEY_ID_…）",
    ),
    (
        "wechat.pay",
        "wechat_public_key_file",
        "微信支付公钥文件 pub_key.pem 的路径",
    ),
];

fn questions(filled: &mut Vec<Filled>, answers: &mut dyn BufRead) -> Result<(), Failure> {
    for question in BASICS {
        question_until_good(filled, question, answers)?;
    }
    let has_mchid = filled
        .iter()
        .any(|(_, name, text)| *name == "mchid" && !text.is_empty());
    let is_v2 = filled
        .iter()
        .any(|(_, name, text)| *name == "version" && text == "v2");
    if has_mchid && is_v2 {
        let question = ("wechat.pay", "v2_key", "APIv2 密钥（商户平台 → API 安全）");
        question_until_good(filled, question, answers)?;
    } else if has_mchid {
        for question in V3 {
            question_until_good(filled, question, answers)?;
        }
    }
    Ok(())
}

fn question_until_good(
    filled: &mut Vec<Filled>,
    question: (&'static str, &'static str, &str),
    answers: &mut dyn BufRead,
) -> Result<(), Failure> {
    let (section, name, words) = question;
    let file = format!("{name}_file");
    let given =
        |(s, n, text): &Filled| *s == section && (*n == name || *n == file) && !text.is_empty();
    if filled.iter().any(given) {
        return Ok(());
    }
    loop {
        term::ask(format!("{words}（回车跳过）："));
        let mut answer = String::new();
        let read = answers.read_line(&mut answer);
        read.map_err(|why| Failure::failed("读不了输入", why))?;
        let answer = answer.trim().to_owned();
        if answer.is_empty() {
            return Ok(());
        }
        filled.push((section, name, answer));
        let title = format!("[{section}] {name}");
        let told = faults(&fill(filled));
        let wrong = told
            .iter()
            .find(|f| f.key == title && f.kind != FaultKind::Missing);
        let Some(fault) = wrong else { return Ok(()) };
        term::complain(plainly(fault));
        filled.pop();
    }
}

/// The example with these values in place of its own; of two for one key, the later.
fn fill(filled: &[Filled]) -> String {
    let mut section = "";
    let mut lines = Vec::new();
    for line in EXAMPLE.lines() {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = name;
        }
        let name = line.split_once(" = ").map_or("", |(name, _)| name);
        let value = filled.iter().rev().find(|(s, n, _)| {
            let is_file = || n.strip_suffix("_file") == Some(name) && !name.is_empty();
            *s == section && (*n == name || is_file())
        });
        lines.push(match value {
            Some((_, name, text)) => format!("{name} = {}", toml::Value::from(text.as_str())),
            None => line.to_owned(),
        });
    }
    lines.join("\n") + "\n"
}

/// What is wrong with a text, the environment aside: the file is to work without it.
fn faults(text: &str) -> Vec<Fault> {
    config::parse(text, std::iter::empty())
        .err()
        .unwrap_or_default()
}

fn plainly(fault: &Fault) -> String {
    format!("{}：{}。处理：{}。", fault.key, fault.cause, fault.remedy)
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    // Half a configuration would stop the next init.
    written.inspect_err(|_| _ = std::fs::remove_file(path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn given() -> Init {
        Init {
            appid: Some("wx0123456789abcdef".into()),
            data_dir: Some("/srv/\"quoted\"".into()),
            ..Init::default()
        }
    }

    #[test]
    fn what_init_writes_is_private_loads_and_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let (path, secret) = (dir.path().join("c.toml"), dir.path().join("secret"));
        std::fs::write(&secret, "app-secret\n").unwrap();
        let secret_file = secret.to_str().map(str::to_owned);
        run(
            &path,
            Init {
                secret_file,
                ..given()
            },
            None,
        )
        .unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = std::fs::read_to_string(&path).unwrap();
        let config = config::parse(&text, std::iter::empty()).unwrap();
        assert_eq!(config.wechat.secret.reveal(), "app-secret");
        assert_eq!(config.store.data_dir, Path::new("/srv/\"quoted\""));
        assert!(config.server.public_url.is_empty());
        let again = run(&path, given(), None);
        assert!(matches!(again, Err(Failure::Failed(_))));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn two_inits_share_neither_salt_nor_key() {
        let (one, other) = (fill(&fresh()), fill(&fresh()));
        for name in ["salt = ", "field_key = "] {
            let line = |text: &str| {
                text.lines()
                    .find(|l| l.starts_with(name))
                    .map(str::to_owned)
            };
            assert_ne!(line(&one).unwrap(), line(&other).unwrap());
        }
    }

    #[test]
    fn a_wrong_flag_writes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        let wrong = Init {
            public_url: Some("http://shop.example.com".into()),
            ..given()
        };
        let Err(Failure::Wrong(why)) = run(&path, wrong, None) else {
            panic!("it was taken")
        };
        assert!(why.contains("[server] public_url"), "{why}");
        assert!(!path.exists());
    }

    #[test]
    fn a_person_is_asked_again_until_the_answer_is_good() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        let mut answers = &b"app-secret\nftp://x\nhttps://shop.example.com\n\n"[..];
        run(&path, given(), Some(&mut answers)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let config = config::parse(&text, std::iter::empty()).unwrap();
        assert_eq!(config.server.public_url, "https://shop.example.com");
        assert_eq!(config.wechat.appid.as_str(), "wx0123456789abcdef");
        assert!(config.pay.merchant.is_none());
    }
}
