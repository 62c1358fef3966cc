//! `getwxacodeunlimit`: the rules of scene and page, and a picture that is a real PNG.
//!
//! The picture only looks like a code: nothing scans it. Source: 小程序 · 获取不限制的小程序码.

use serde::Deserialize;

use crate::base::hash;
use crate::sandbox::login::{Errcode, err};

const BAD_SCENE: Errcode = err(40129, "invalid scene");
const BAD_SCENE_LENGTH: Errcode = err(40169, "invalid length for scene, or the data is not json");
const BAD_PAGE: Errcode = err(41030, "invalid page");
const BAD_ARGS: Errcode = err(40097, "invalid args");

/// The body of the call.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CodeForm {
    scene: Option<String>,
    page: Option<String>,
    env_version: Option<String>,
    width: Option<u32>,
}

/// What is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Code {
    seed: [u8; 32],
    width: u32,
}

impl CodeForm {
    /// The code asked for, if every field keeps its rule.
    pub(super) fn read(&self) -> Result<Code, Errcode> {
        let scene = self.scene.as_deref().unwrap_or("");
        if !(1..=32).contains(&scene.chars().count()) {
            return Err(BAD_SCENE_LENGTH);
        }
        let visible = |b: u8| b.is_ascii_alphanumeric() || b"!#$&'()*+,/:;=?@-._~".contains(&b);
        if !scene.bytes().all(visible) {
            return Err(BAD_SCENE);
        }
        let page = self.page.as_deref().unwrap_or("");
        if page.starts_with('/') || page.contains('?') {
            return Err(BAD_PAGE);
        }
        let env = self.env_version.as_deref().unwrap_or("release");
        if !["release", "trial", "develop"].contains(&env) {
            return Err(BAD_ARGS);
        }
        let width = self.width.unwrap_or(430);
        if !(280..=1280).contains(&width) {
            return Err(BAD_ARGS);
        }
        let seed = hash::sha256(format!("{env} {page} {scene}").as_bytes());
        Ok(Code { seed, width })
    }
}

impl Code {
    /// A square picture of 16 by 16 fields, black where the seed has a bit.
    pub(super) fn png(&self) -> Vec<u8> {
        let size = self.width.to_be_bytes();
        // 1 bit a pixel, grey, no filter, no interlace.
        let head = [&size[..], &size[..], &[1, 0, 0, 0, 0]].concat();
        let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
        for (name, content) in [
            (b"IHDR", head),
            (b"IDAT", stored(&self.pixels())),
            (b"IEND", vec![]),
        ] {
            let length = u32::try_from(content.len()).unwrap_or(0);
            png.extend(length.to_be_bytes());
            let chunk = [&name[..], &content].concat();
            png.extend(&chunk);
            png.extend(crc32(&chunk).to_be_bytes());
        }
        png
    }

    /// Each row begins with a byte that says "no filter".
    fn pixels(&self) -> Vec<u8> {
        let field = |place: u32| place.saturating_mul(16) / self.width;
        let is_black = |x: u32, y: u32| {
            let bit = field(y) * 16 + field(x);
            let byte = usize::try_from(bit / 8).unwrap_or(0);
            self.seed[byte] >> (bit % 8) & 1 == 1
        };
        let mut rows = vec![];
        for y in 0..self.width {
            rows.push(0);
            for left in (0..self.width).step_by(8) {
                let white = (left..left + 8).filter(|x| *x < self.width && !is_black(*x, y));
                rows.push(white.fold(0, |byte, x| byte | 0x80 >> (x - left)));
            }
        }
        rows
    }
}

/// A zlib stream that stores what it is given.
fn stored(text: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let mut blocks = text.chunks(usize::from(u16::MAX)).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        stream.push(u8::from(blocks.peek().is_none()));
        stream.extend(length.to_le_bytes());
        stream.extend((!length).to_le_bytes());
        stream.extend(block);
    }
    stream.extend(adler32(text).to_be_bytes());
    stream
}

fn adler32(text: &[u8]) -> u32 {
    let step = |(a, b): (u32, u32), byte: &u8| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    };
    let (a, b) = text.iter().fold((1, 0), step);
    b << 16 | a
}

fn crc32(text: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in text {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn verdict(form: &Value) -> i64 {
        let form = serde_json::from_value::<CodeForm>(form.clone()).expect("of the right types");
        form.read().map_or_else(|why| why.errcode, |_| 0)
    }

    #[test]
    fn scene_page_and_width_keep_their_rules() {
        let long = "x".repeat(33);
        let table = [
            (json!({"scene": "o=1&s=2"}), 0),
            (
                json!({"scene": "o", "page": "pages/index/index", "env_version": "trial"}),
                0,
            ),
            (json!({}), 40169),
            (json!({"scene": ""}), 40169),
            (json!({"scene": long}), 40169),
            (json!({"scene": "a%20b"}), 40129),
            (json!({"scene": "茶"}), 40129),
            (json!({"scene": "a b"}), 40129),
            (json!({"scene": "o", "page": "/pages/index"}), 41030),
            (json!({"scene": "o", "page": "pages/index?a=1"}), 41030),
            (json!({"scene": "o", "env_version": "beta"}), 40097),
            (json!({"scene": "o", "width": 279}), 40097),
            (json!({"scene": "o", "width": 1281}), 40097),
        ];
        for (form, errcode) in table {
            assert_eq!(verdict(&form), errcode, "{form}");
        }
    }

    #[test]
    fn the_sums_of_a_picture_are_the_published_ones() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(adler32(b"Wikipedia"), 0x11E6_0398);
    }
}
