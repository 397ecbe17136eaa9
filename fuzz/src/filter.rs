//! SQL filters: any text is an expression or an error that says what is wrong, any properties are tried on it, and white
//! space in front changes nothing.

use cuemq_net::filter::SqlFilter;
use cuemq_net::message::properties::Properties;

/// Takes what stands in front of the first NUL for an expression, and what stands behind it for a message's properties.
pub fn run(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let expression = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let properties = Properties::new(parts.next().unwrap_or_default());
    match SqlFilter::compile(&expression) {
        Ok(filter) => {
            let outcome = filter.evaluate(properties);
            assert_eq!(filter.matches(properties), outcome == Ok(Some(true)));
            assert!(filter.parts() <= 2 * expression.len() + 1, "{} parts", filter.parts());
            assert!(
                filter.bytes() <= 64 * (expression.len() + 16),
                "{} bytes",
                filter.bytes()
            );
            if let Ok(moved) = SqlFilter::compile(&format!(" \t/* - */\n{expression}")) {
                assert_eq!(moved.evaluate(properties), outcome);
            }
        }
        Err(error) => assert!(error.to_string().len() > 20, "{error}"),
    }
}
