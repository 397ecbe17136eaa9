//! Tests of where settings come from: flags, environment, kinds of files; and of what a name server alone takes.

use std::path::Path;
use std::time::Duration;

use super::file::{Flags, Settings};
use super::rules_test::{NAMESRV, address, conf, flags, gather_on, infos, row, toml, warnings};

#[test]
fn all_interfaces_need_an_announced_address() {
    let given = |listen: &str, announce: Option<&str>| Flags {
        listen: Some(address(listen)),
        announce: announce.map(address),
        ..Flags::default()
    };
    let error = flags(given("0.0.0.0", None)).unwrap_err();
    assert!(error.ends_with("give --announce and this machine's address"), "{error}");
    assert!(
        toml("listen = \"::\"")
            .unwrap_err()
            .ends_with("give --announce 10.9.8.7")
    );
    assert!(
        flags(given("0.0.0.0", Some("::")))
            .unwrap_err()
            .contains("announce = :: is no address")
    );
    assert!(flags(given("0.0.0.0", Some("10.0.0.1"))).is_ok());
    let followed = flags(given("10.0.0.1", None)).unwrap();
    assert_eq!(row(&followed, "announce"), "announce|10.0.0.1|what is listened on");
}

#[test]
fn keys_and_values_lie_below_the_data() {
    let config = toml("data = \"/srv/d\"").unwrap().into_config();
    assert_eq!(config.kv_config_path(), Path::new("/srv/d/namesrv/kvConfig.json"));
}

#[test]
fn a_name_server_announces_nothing() {
    let config = gather_on("namesrv.conf", NAMESRV, Flags::default(), true)
        .unwrap()
        .into_config();
    assert_eq!((config.listen, config.name_server_port), (address("0.0.0.0"), 19_876));
    assert_eq!(config.idle_limit, Duration::from_secs(90));
    assert!(config.order_messages && config.cluster_test);
    assert_eq!(
        (&*config.product_environment, &*config.address_server),
        ("shop", "names.local")
    );
    assert_eq!(config.kv_config_path(), Path::new("/srv/namesrv/kv.json"));
}

#[test]
fn a_name_server_prints_and_takes_what_concerns_it() {
    let settings = gather_on("namesrv.conf", NAMESRV, Flags::default(), true).unwrap();
    assert_eq!(
        row(&settings, "name_server.port"),
        "name_server.port|19876|namesrv.conf:1"
    );
    assert!(!settings.table(false).contains("broker.name"));
    assert_eq!(
        row(&settings, "name_server.cluster_test"),
        "name_server.cluster_test|true|namesrv.conf:6"
    );
    assert_eq!(warnings(&settings), [""; 0]);
    let others = "namesrv.conf:5: brokerName is a broker's, it has no effect on a name server";
    assert!(infos(&settings).contains(&others));
}

#[test]
fn flags_rank_over_environment_over_file_over_defaults() {
    let environment = Flags {
        environment_name_servers: Some("e:1".into()),
        ..Flags::default()
    };
    let both = Flags {
        name_servers: Some("f:1".into()),
        port: Some(5),
        ..environment.clone()
    };
    let text = "namesrvAddr=c:1\nlistenPort=7";
    let names = |settings: &Settings| row(settings, "name_server.addresses");

    assert_eq!(names(&conf(text).unwrap()), "name_server.addresses|c:1|broker.conf:1");
    let settings = gather_on("broker.conf", text, environment, false).unwrap();
    assert_eq!(
        names(&settings),
        "name_server.addresses|e:1|NAMESRV_ADDR in the environment"
    );
    assert!(infos(&settings).contains(&"NAMESRV_ADDR in the environment counts, not what broker.conf:1 says"));
    let settings = gather_on("broker.conf", text, both, false).unwrap();
    assert_eq!(names(&settings), "name_server.addresses|f:1|-n");
    assert_eq!(row(&settings, "port"), "port|5|--port");
    assert_eq!(row(&settings, "broker.permission"), "broker.permission|6|default");
}

#[test]
fn an_empty_environment_variable_says_nothing() {
    let empty = Flags {
        environment_name_servers: Some(" ".into()),
        ..Flags::default()
    };
    assert!(flags(empty).unwrap().into_config().name_servers.is_empty());
}

#[test]
fn a_flag_that_cannot_be_is_named() {
    let error = flags(Flags {
        name_servers: Some("here".into()),
        ..Flags::default()
    })
    .unwrap_err();
    assert!(
        error.starts_with("-n: name_server.addresses = here cannot be used"),
        "{error}"
    );
    assert!(
        flags(Flags {
            port: Some(2),
            ..Flags::default()
        })
        .unwrap_err()
        .starts_with("port = 2 leaves no room")
    );
}

#[test]
fn an_index_can_be_left_out() {
    assert_eq!(conf("messageIndexEnable=false").unwrap().into_config().index, None);
    assert_eq!(
        toml("[store]\nindex = false\nindex_slots = 9")
            .unwrap()
            .into_config()
            .index,
        None
    );
    assert!(toml("[store]\nindex_entries = 1").is_err());
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_with_the_next_step() {
    let error = flags(Flags {
        file: Some("missing.toml".into()),
        ..Flags::default()
    })
    .unwrap_err();
    assert!(
        error.starts_with("the settings file missing.toml cannot be read"),
        "{error}"
    );
    assert!(error.ends_with("give the path of a readable file to -c"), "{error}");
}

#[test]
fn an_empty_file_is_spoken_of() {
    let settings = toml(" \n").unwrap();
    assert_eq!(
        warnings(&settings),
        ["the settings file cuemq.toml says nothing (a pipe cannot be read as one)"]
    );
}

#[test]
fn the_extension_tells_the_kind_of_file() {
    assert!(gather_on("settings.TOML", "port = 7", Flags::default(), false).is_ok());
    assert!(gather_on("settings.properties", "listenPort = 7", Flags::default(), false).is_ok());
    assert!(gather_on("settings.toml", "listenPort = 7", Flags::default(), false).is_err());
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_key() {
    let config = conf("\u{feff}brokerName=broker-c").unwrap().into_config();
    assert_eq!(config.broker_name, "broker-c");
}
