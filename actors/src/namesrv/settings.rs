//! What can be configured of a name server, and the properties text in which tools read and change it (codes 318, 319).
//! Mirrors `NamesrvConfig`.

use std::fmt::Write;

/// The settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The port that it listens on.
    pub listen_port: u16,
    /// The file of keys and values, as shown to operators; empty if there is none.
    pub kv_config_path: String,
    /// Whether routes tell the order of brokers that the namespace of ordered topics holds. The only setting that can be
    /// changed while running, until the next start.
    pub order_message_enable: bool,
    /// Whether routes that are not here are asked for in the product environment.
    pub cluster_test: bool,
    /// The product environment's name.
    pub product_environment: String,
}

/// The name of the one setting that can be changed.
const ORDER_MESSAGE_ENABLE: &str = "orderMessageEnable";

impl Settings {
    /// Prints the settings as properties, under Java's names.
    pub fn to_properties(&self) -> String {
        let mut text = String::new();
        let Settings {
            listen_port,
            kv_config_path,
            order_message_enable,
            cluster_test,
            product_environment,
        } = self;
        // writing to a string cannot fail
        let _ = writeln!(
            text,
            "clusterTest={cluster_test}\nkvConfigPath={kv_config_path}\nlistenPort={listen_port}"
        );
        let _ = writeln!(
            text,
            "{ORDER_MESSAGE_ENABLE}={order_message_enable}\nproductEnvName={product_environment}"
        );
        text
    }

    #[cfg(test)]
    pub(super) fn for_test() -> Self {
        Self {
            listen_port: 9876,
            kv_config_path: "/k".into(),
            order_message_enable: false,
            cluster_test: false,
            product_environment: "center".into(),
        }
    }

    /// Takes changes from properties. As in Java, lines that are no setting are passed over; those that are one of Java's
    /// and have no effect here are logged.
    pub fn update(&mut self, properties: &str) {
        for line in properties
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with(['#', '!']))
        {
            match line
                .split_once(['=', ':'])
                .map(|(name, value)| (name.trim(), value.trim()))
            {
                Some((ORDER_MESSAGE_ENABLE, value)) => self.order_message_enable = value.eq_ignore_ascii_case("true"),
                _ => tracing::warn!(line, "this setting cannot be changed while the name server runs"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_changeable_setting_is_taken_and_others_are_passed_over() {
        let mut settings = Settings::for_test();
        settings.update(
            "# a comment\nserverChannelMaxIdleTimeSeconds=121\n\n orderMessageEnable = TRUE\nlistenPort=1\nodd",
        );
        let expected =
            "clusterTest=false\nkvConfigPath=/k\nlistenPort=9876\norderMessageEnable=true\nproductEnvName=center\n";
        assert_eq!(settings.to_properties(), expected);
    }
}
