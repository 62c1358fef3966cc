//! WeChat's platform certificates, kept so that a restart verifies while they cannot be downloaded.

use super::codec::{self, collect};
use super::records::CertificateRecord;
use super::{KeyRange, Read, StoreError, Tx, keys};

/// The certificates kept, as PEM.
///
/// # Errors
/// [`StoreError`].
pub fn all(read: &impl Read) -> Result<Vec<String>, StoreError> {
    let kept = collect(read, &KeyRange::prefix(&[keys::CERTIFICATE]), usize::MAX)?;
    let pems = kept.into_iter().map(|(key, value)| {
        codec::decode(read, &key, &value).map(|CertificateRecord::V1(pem)| pem)
    });
    pems.collect()
}

/// Keeps exactly these certificates, each under its serial, and forgets the others.
///
/// # Errors
/// [`StoreError`].
pub fn keep(tx: &mut Tx<'_>, certificates: &[(String, String)]) -> Result<(), StoreError> {
    let known = collect(tx, &KeyRange::prefix(&[keys::CERTIFICATE]), usize::MAX)?;
    for (key, _) in known {
        let wanted = certificates
            .iter()
            .any(|(serial, _)| keys::certificate(serial) == key);
        if !wanted {
            codec::delete::<CertificateRecord>(tx, key)?;
        }
    }
    for (serial, pem) in certificates {
        let record = CertificateRecord::V1(pem.clone());
        codec::put(tx, keys::certificate(serial), &record)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::samples::write;

    #[tokio::test]
    async fn what_is_kept_is_the_newest_set_and_nothing_else() {
        let store = Store::memory();
        for serials in [&["A", "B"][..], &["B", "C"], &["C"]] {
            let set: Vec<_> = serials
                .iter()
                .map(|serial| ((*serial).to_owned(), format!("PEM {serial}")))
                .collect();
            write(&store, move |tx| Ok(keep(tx, &set)?)).await;
            let kept = store.read(|view| all(view)).await.unwrap();
            let wanted: Vec<_> = serials.iter().map(|s| format!("PEM {s}")).collect();
            assert_eq!(kept, wanted);
        }
    }
}
