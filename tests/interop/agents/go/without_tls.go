//go:build !tls

package main

import (
	"github.com/apache/rocketmq-client-go/v2/admin"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// The release that go.mod names knows no TLS.
var (
	producerTLS []producer.Option
	consumerTLS []consumer.Option
	adminTLS    []admin.AdminOption
)
