//! How single values are read: strictly, and alike from a file (typed) and from the environment (always text).
//!
//! Each module here is for serde's `with`: `#[serde(with = "scalar::count")]`. Their errors all say what was got and
//! what was wanted; the place and the key are added by load.rs.

use serde::de::{self, Deserialize, Deserializer, Visitor};
use std::fmt;

/// One value as it was written, before it is known what it should be.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    Integer(i128),
    Float(f64),
    Switch(bool),
    Text(String),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Integer(value) => write!(f, "{value}"),
            Scalar::Float(value) => write!(f, "{value:?}"),
            Scalar::Switch(value) => write!(f, "{value}"),
            Scalar::Text(value) => f.write_str(value),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a single value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar::Switch(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
        Ok(Scalar::Integer(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(value.to_string()))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, _: A) -> Result<Scalar, A::Error> {
        Err(de::Error::custom("got a list, want a single value"))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, _: A) -> Result<Scalar, A::Error> {
        Err(de::Error::custom("got a table, want a single value"))
    }
}

/// Whole numbers of any width: `5000`, or `"5000"` as the environment gives it.
pub(super) mod count {
    use super::*;

    pub fn serialize<T: serde::Serialize, S: serde::Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        value.serialize(serializer)
    }

    pub fn deserialize<'de, T: TryFrom<i128>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        let scalar = Scalar::deserialize(deserializer)?;
        let number = match &scalar {
            Scalar::Integer(number) => Some(*number),
            Scalar::Text(text) => text.trim().parse().ok(),
            Scalar::Float(_) | Scalar::Switch(_) => None,
        };
        number
            .and_then(|n| T::try_from(n).ok())
            .ok_or_else(|| de::Error::custom(format!("got `{scalar}`, want a whole number, 0 or more")))
    }
}

/// `true` or `false`, and nothing that merely looks like it.
pub(super) mod switch {
    use super::*;

    pub fn serialize<S: serde::Serializer>(value: &bool, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(*value)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
        match Scalar::deserialize(deserializer)? {
            Scalar::Switch(value) => Ok(value),
            Scalar::Text(text) if text == "true" => Ok(true),
            Scalar::Text(text) if text == "false" => Ok(false),
            other => Err(de::Error::custom(format!("got `{other}`, want true or false"))),
        }
    }
}

/// Types that read and print themselves as text.
pub(super) mod text {
    use super::*;
    use std::str::FromStr;

    pub fn serialize<T: fmt::Display, S: serde::Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: fmt::Display>,
        D: Deserializer<'de>,
    {
        Scalar::deserialize(deserializer)?.to_string().parse().map_err(de::Error::custom)
    }
}

/// A list of texts, or of what reads and prints itself as text; the environment writes it with commas between them.
pub(super) mod list {
    use super::*;
    use std::str::FromStr;

    pub fn serialize<T: fmt::Display, S: serde::Serializer>(value: &[T], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(value.iter().map(T::to_string))
    }

    pub fn deserialize<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
    where
        T: FromStr<Err: fmt::Display>,
        D: Deserializer<'de>,
    {
        let texts = deserializer.deserialize_any(ListVisitor)?;
        texts.iter().map(|text| text.parse().map_err(de::Error::custom)).collect()
    }

    struct ListVisitor;

    impl<'de> Visitor<'de> for ListVisitor {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of texts")
        }

        fn visit_str<E>(self, value: &str) -> Result<Vec<String>, E> {
            Ok(value.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_string).collect())
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<String>, A::Error> {
            let mut list = Vec::new();
            while let Some(scalar) = seq.next_element::<Scalar>()? {
                list.push(scalar.to_string());
            }
            Ok(list)
        }
    }
}
