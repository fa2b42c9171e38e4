//! What a certificate says: its names, in text.

use std::fmt::Write as _;

use x509_parser::{
    asn1_rs::{Oid, Tag},
    certificate::X509Certificate,
    extensions::GeneralName,
    x509::{AttributeTypeAndValue, X509Name},
};

/// The short names of RFC 4514 section 3, and that of the address in many client certificates, as OpenSSL writes it.
const SHORT_NAMES: [(&[u64], &str); 10] = [
    (&[2, 5, 4, 3], "CN"),
    (&[2, 5, 4, 6], "C"),
    (&[2, 5, 4, 7], "L"),
    (&[2, 5, 4, 8], "ST"),
    (&[2, 5, 4, 9], "street"),
    (&[2, 5, 4, 10], "O"),
    (&[2, 5, 4, 11], "OU"),
    (&[0, 9, 2342, 19_200_300, 100, 1, 1], "UID"),
    (&[0, 9, 2342, 19_200_300, 100, 1, 25], "DC"),
    (&[1, 2, 840, 113_549, 1, 9, 1], "emailAddress"),
];

/// The DNS names that a certificate is for, in lower case.
pub(super) fn dns_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map_or(&[][..], |extension| &extension.value.general_names);
    let names = names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    names.collect()
}

/// A name as in RFC 4514, which is that of `mod_ssl` and nginx: the last part first.
pub(super) fn distinguished_name(name: &X509Name<'_>) -> String {
    let parts: Vec<_> = name.iter_rdn().collect();
    let parts = parts.into_iter().rev().map(|part| {
        let attributes: Vec<_> = part.iter().map(attribute).collect();
        attributes.join("+")
    });
    parts.collect::<Vec<_>>().join(",")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let value = attribute.attr_value();
    let text = match value.tag() {
        Tag::BmpString => value.clone().bmpstring().ok().map(|text| text.string()),
        _ => attribute.as_str().ok().map(str::to_owned),
    };
    let value = match text {
        Some(text) => escape(&text),
        // As its bytes in hexadecimal.
        None => value.data.iter().fold("#".to_owned(), |mut text, byte| {
            let _ = write!(text, "{byte:02X}");
            text
        }),
    };
    format!("{}={value}", short_name(attribute.attr_type()))
}

fn short_name(oid: &Oid<'_>) -> String {
    let is = |arcs: &[u64]| Oid::from(arcs).is_ok_and(|known| known == *oid);
    let known = SHORT_NAMES.iter().find(|(arcs, _)| is(arcs));
    known.map_or_else(|| oid.to_id_string(), |(_, name)| (*name).to_owned())
}

/// Escapes a value as RFC 4514 section 2.4. What could not stand in a header field, or end a line, is escaped as well.
fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    let last = value.len().saturating_sub(1);
    for (index, character) in value.char_indices() {
        match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => escaped.extend(['\\', character]),
            '#' | ' ' if index == 0 => escaped.extend(['\\', character]),
            ' ' if index == last => escaped.push_str("\\ "),
            character if character.is_ascii_control() => {
                let _ = write!(escaped, "\\{:02X}", u32::from(character));
            }
            character => escaped.push(character),
        }
    }
    escaped
}

/// A serial number in hexadecimal, as `mod_ssl` and nginx write it.
pub(super) fn serial(certificate: &X509Certificate<'_>) -> String {
    let bytes = certificate.raw_serial();
    let bytes = bytes.strip_prefix(&[0]).unwrap_or(bytes);
    let mut text = String::new();
    for byte in bytes {
        let _ = write!(text, "{byte:02X}");
    }
    if text.is_empty() { "00".into() } else { text }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair, SerialNumber};
    use x509_parser::prelude::FromDer;

    use super::*;

    #[test]
    fn names_are_escaped_as_in_the_rfc() {
        for (value, expected) in [
            ("alice", "alice"),
            (
                "#1 \"A\" + B, C; <D> \\",
                "\\#1 \\\"A\\\" \\+ B\\, C\\; \\<D\\> \\\\",
            ),
            (" a ", "\\ a\\ "),
            ("a\nb\0", "a\\0Ab\\00"),
            ("Müller", "Müller"),
            ("", ""),
        ] {
            assert_eq!(escape(value), expected, "{value:?}");
        }
    }

    #[test]
    fn what_a_certificate_says() {
        let names = ["Shop.example".to_owned(), "*.shop.example".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.serial_number = Some(SerialNumber::from(0xab_u64));
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in [
            (
                DnType::CountryName,
                DnValue::PrintableString("DE".try_into().unwrap()),
            ),
            (DnType::OrganizationName, "Shop, Inc.".into()),
            (
                DnType::CommonName,
                DnValue::BmpString("Zoë".try_into().unwrap()),
            ),
            (
                DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]),
                "a@b".into(),
            ),
            (DnType::CustomDnType(vec![1, 3, 5]), "x".into()),
        ] {
            params.distinguished_name.push(kind, value);
        }
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let (_, certificate) = X509Certificate::from_der(certificate.der()).unwrap();
        assert_eq!(dns_names(&certificate), ["shop.example", "*.shop.example"]);
        assert_eq!(serial(&certificate), "AB");
        assert_eq!(
            distinguished_name(certificate.subject()),
            "1.3.5=x,emailAddress=a@b,CN=Zoë,O=Shop\\, Inc.,C=DE"
        );
    }
}
