//! What the RSA of one v3 call costs on this machine: SHA-256, PKCS#1 v1.5, 2048 bits, by the same
//! library as the server's.

use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey,
};
use serde_json::json;

use crate::args::Args;

/// `[--seconds N]`: prints `{"sign_us","verify_us"}`.
pub fn run(args: &Args) -> Result<(), String> {
    let span = Duration::from_secs_f64(args.or("seconds", 1.0)?);
    let key = KeyPair::generate(KeySize::Rsa2048).map_err(|_| "no key".to_owned())?;
    let text = [b'x'; 400];
    let mut signature = vec![0; key.public_modulus_len()];
    let random = SystemRandom::new();
    let sign_us = each(span, || {
        let signed = key.sign(&RSA_PKCS1_SHA256, &random, &text, &mut signature);
        assert!(signed.is_ok(), "a good key signs");
    });
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref());
    let verify_us = each(span, || {
        assert!(
            public.verify(&text, &signature).is_ok(),
            "its own signature"
        );
    });
    println!("{}", json!({"sign_us": sign_us, "verify_us": verify_us}));
    Ok(())
}

/// Microseconds of one `work`, done again and again for `span`.
fn each(span: Duration, mut work: impl FnMut()) -> f64 {
    let began = Instant::now();
    let mut times = 0_u32;
    while began.elapsed() < span {
        work();
        times += 1;
    }
    began.elapsed().as_secs_f64() * 1e6 / f64::from(times)
}
