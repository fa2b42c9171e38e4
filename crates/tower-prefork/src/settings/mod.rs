//! Settings, each declared once.
//!
//! [`settings!`](crate::settings!) declares a struct and, in the same place, what belongs to each
//! field: the kind of its values, its default and range, and its help text. From that one entry come the field and
//! its default, the check, the key of the configuration file, the option and the environment variable of the
//! command line, and the row of the documentation.
//!
//! [`Config`](crate::Config) and [`ProgramConfig`](crate::ProgramConfig) are declared this way. A program declares
//! settings of its own in the same form:
//!
//! ```
//! use tower_prefork::settings::{Overrides, Kind, Settings};
//!
//! tower_prefork::settings! {
//!     /// What can be set for the shop.
//!     #[derive(Clone, Debug)]
//!     pub struct Shop: "Shop", "SHOP_" {
//!         /// Number of goods on a page
//!         pub page_size: usize = 20, { kind: Kind::Number(1..=100) };
//!
//!         /// Directory with the pictures
//!         pub pictures: Option<std::path::PathBuf> = None, { kind: Kind::Path };
//!     }
//! }
//!
//! let setting = Shop::find("page_size").unwrap();
//! let mut overrides = Overrides::<Shop>::default();
//! overrides.insert(setting, setting.parse("50").unwrap());
//!
//! let mut shop = Shop::default();
//! overrides.apply(&mut shop);
//! assert_eq!((shop.page_size, shop.pictures), (50, None));
//!
//! assert_eq!(setting.variable(), "SHOP_PAGE_SIZE");
//! assert_eq!(setting.parse("many").unwrap_err(), "expected a whole number, 0 or more");
//! ```

mod kind;
mod markdown;
mod overrides;
mod setting;
mod table;
mod units;
mod value;

pub use kind::{Kind, RawValue};
pub use markdown::{check_markdown, markdown};
pub use overrides::Overrides;
pub use setting::Setting;
pub use table::Settings;
#[cfg(feature = "config-file")]
pub use table::nearest;
pub use tower_serve::InvalidSetting;
pub use units::{duration, mode, size};
pub use value::{Field, Value};
