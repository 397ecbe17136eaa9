//go:build tls

package main

import (
	"github.com/apache/rocketmq-client-go/v2/admin"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// A client that speaks TLS takes any certificate, and shows none.
var (
	producerTLS = []producer.Option{producer.WithTls(true)}
	consumerTLS = []consumer.Option{consumer.WithTls(true)}
	adminTLS    = []admin.AdminOption{admin.WithTls(true)}
)
