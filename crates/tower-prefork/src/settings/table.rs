//! The table: the macro that declares settings, and what it makes of them.

use super::{InvalidSetting, Setting};

/// A struct of settings, declared by [`settings!`](crate::settings!).
pub trait Settings: Default + 'static {
    /// All settings, in the order in which the help shows them and in which they are set.
    const TABLE: &'static [Setting<Self>];

    /// The heading of these settings in the help.
    const HEADING: &'static str;

    /// What their environment variables begin with.
    const PREFIX: &'static str;

    /// The setting of this name.
    #[must_use]
    fn find(name: &str) -> Option<&'static Setting<Self>> {
        Self::TABLE.iter().find(|setting| setting.name == name)
    }

    /// Checks that every value is in range.
    ///
    /// # Errors
    ///
    /// The first setting of which the value is not.
    fn check(&self) -> Result<(), InvalidSetting> {
        Self::TABLE
            .iter()
            .try_for_each(|setting| setting.check(self))
    }
}

/// The name that was probably meant.
#[cfg(feature = "config-file")]
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase().replace('-', "_");
    let distances = known
        .into_iter()
        .map(|known| (strsim::osa_distance(&name, known), known));
    let (distance, nearest) = distances.min()?;
    // A mistyped letter, and another for each five of them.
    (distance <= 1 + name.len() / 5).then_some(nearest)
}

/// Declares a struct of settings: each once, with everything that is known of it.
///
/// The first paragraph of a setting's documentation is its help text. In the braces after its default stand its
/// `kind` and what else differs from a [new setting](crate::settings::Setting::new). After `fields` come fields that
/// are no settings, and after `also` settings that are no field: `at` a place in one, or with a `get` and a `set` of
/// their own. See [`settings`](mod@crate::settings) for an example.
#[macro_export]
macro_rules! settings {
    (
        $(#[$attribute:meta])*
        $visibility:vis struct $name:ident: $heading:literal, $prefix:literal {
            $(
                $(#[doc = $documentation:literal])*
                $(#[cfg($($condition:tt)*)])?
                $setting_visibility:vis $setting:ident: $type:ty = $default:expr,
                { $($key:ident: $value:expr),* $(,)? };
            )*
        }
        $(fields {
            $(
                $(#[doc = $field_documentation:literal])*
                $(#[cfg($($field_condition:tt)*)])?
                $field_visibility:vis $field:ident: $field_type:ty = $field_default:expr;
            )*
        })?
        $(also {
            $(
                $(#[doc = $part_documentation:literal])*
                $(#[cfg($($part_condition:tt)*)])?
                $part:ident $(at $($place:ident).+)?,
                { $($part_key:ident: $part_value:expr),* $(,)? };
            )*
        })?
    ) => {
        $(#[$attribute])*
        $visibility struct $name {
            $(
                $(#[doc = $documentation])*
                #[doc = concat!("\n\nDefault: `", stringify!($default), "`.")]
                $(#[cfg($($condition)*)])?
                $setting_visibility $setting: $type,
            )*
            $($(
                $(#[doc = $field_documentation])*
                $(#[cfg($($field_condition)*)])?
                $field_visibility $field: $field_type,
            )*)?
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $(
                        $(#[cfg($($condition)*)])?
                        $setting: $default,
                    )*
                    $($(
                        $(#[cfg($($field_condition)*)])?
                        $field: $field_default,
                    )*)?
                }
            }
        }

        impl $crate::settings::Settings for $name {
            const TABLE: &'static [$crate::settings::Setting<Self>] = &[
                $(
                    $(#[cfg($($condition)*)])?
                    $crate::settings::Setting {
                        get: |settings| $crate::settings::Field::to_value(&settings.$setting),
                        set: |settings, value| {
                            settings.$setting = $crate::settings::Field::from_value(value)?;
                            Ok(())
                        },
                        $($key: $value,)*
                        ..$crate::settings::Setting::new(stringify!($setting), &[$($documentation),*])
                    },
                )*
                $($(
                    $(#[cfg($($part_condition)*)])?
                    $crate::settings::Setting {
                        $(
                            get: |settings| $crate::settings::Field::to_value(&settings.$($place).+),
                            set: |settings, value| {
                                settings.$($place).+ = $crate::settings::Field::from_value(value)?;
                                Ok(())
                            },
                        )?
                        $($part_key: $part_value,)*
                        ..$crate::settings::Setting::new(stringify!($part), &[$($part_documentation),*])
                    },
                )*)?
            ];
            const HEADING: &'static str = $heading;
            const PREFIX: &'static str = $prefix;
        }
    };
}

#[cfg(test)]
mod tests {
    use crate::settings::{Kind, Overrides, RawValue, Settings, Value};

    crate::settings! {
        /// What can be set for a shop.
        #[derive(Clone, Debug, PartialEq)]
        struct Shop: "Shop", "SHOP_" {
            /// Number of goods
            /// on a page.
            ///
            /// More of them make a page slow.
            page_size: usize = 20, { kind: Kind::Number(1..=100), short: Some('p') };
        }
        fields {
            /// No setting.
            name: String = "shop".into();
        }
        also {
            /// Name above the shop
            sign at name, { kind: Kind::Name };
        }
    }

    /// One entry is all that a new setting needs.
    #[test]
    fn everything_comes_from_the_one_entry() {
        let setting = Shop::find("page_size").unwrap();
        // The field and its default.
        let mut shop = Shop::default();
        assert_eq!((shop.page_size, &*shop.name), (20, "shop"));
        // The check.
        assert_eq!(shop.check(), Ok(()));
        shop.page_size = 0;
        let invalid = shop.check().unwrap_err();
        assert_eq!(invalid.setting, "page_size");
        assert_eq!(
            invalid.to_string(),
            "page_size is 0; choose a number from 1 to 100"
        );
        // What a text, a file and a program give.
        let mut overrides = Overrides::default();
        overrides.insert(setting, setting.parse("50").unwrap());
        overrides.apply(&mut shop);
        assert_eq!(shop.page_size, 50);
        assert_eq!(setting.read(RawValue::Integer(7)), Ok(Value::Number(7)));
        // The documentation.
        assert_eq!(setting.help(), "Number of goods on a page");
        assert_eq!(setting.option(), "page-size");
        assert_eq!(setting.variable(), "SHOP_PAGE_SIZE");
        assert_eq!(setting.default_text(&Shop::default()), "20");
    }

    #[test]
    fn a_setting_may_be_a_part_of_a_field() {
        let sign = Shop::find("sign").unwrap();
        let mut shop = Shop::default();
        (sign.set)(&mut shop, sign.parse("7").unwrap()).unwrap();
        assert_eq!(shop.name, "7");
        assert_eq!((sign.get)(&shop), Some(Value::Text("7".into())));
    }
}
