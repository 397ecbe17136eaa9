package main

import (
	"context"
	"encoding/base64"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

func (a *agent) startConsumer(command form) error {
	name := command["name"]
	options := append(consumerTLS,
		consumer.WithNameServer(a.namesrv),
		consumer.WithGroupName(command["group"]),
		consumer.WithInstance(a.name+"-"+name),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
		consumer.WithConsumerOrder(command["ordered"] != ""),
	)
	if command["broadcast"] != "" {
		options = append(options, consumer.WithConsumerModel(consumer.BroadCasting))
	}
	if command["retries"] != "" {
		options = append(options, consumer.WithMaxReconsumeTimes(int32(command.number("retries"))))
	}
	c, err := rocketmq.NewPushConsumer(options...)
	if err != nil {
		return err
	}
	for _, topic := range strings.Split(command["topics"], ",") {
		selector := consumer.MessageSelector{Type: consumer.TAG, Expression: command["tags"]}
		if sql, ok := command["sql"]; ok {
			selector = consumer.MessageSelector{Type: consumer.SQL92, Expression: sql}
		}
		if err = c.Subscribe(topic, selector, listener(command)); err != nil {
			return err
		}
	}
	a.stop[name] = c.Shutdown
	return c.Start()
}

// listener tells of each message, and refuses those that the command says. A consumer of this client takes one at a time
// unless it is told otherwise.
func listener(command form) func(context.Context, ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
	refused := consumer.ConsumeRetryLater
	if command["ordered"] != "" {
		refused = consumer.SuspendCurrentQueueAMoment
	}
	slow := time.Duration(command.number("slow")) * time.Millisecond
	left := int64(command.number("count"))
	return func(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, message := range messages {
			time.Sleep(slow)
			arrived(command["name"], message)
			if command["refuse"] != "" && message.GetTags() == command["refuse"] && atomic.AddInt64(&left, -1) >= 0 {
				if again, ok := primitive.GetConcurrentlyCtx(ctx); ok {
					again.DelayLevelWhenNextConsume = command.number("level")
				}
				return refused, nil
			}
		}
		return consumer.ConsumeSuccess, nil
	}
}

func arrived(consumer string, message *primitive.MessageExt) {
	line := form{
		"got": consumer, "topic": message.Topic, "tags": message.GetTags(), "keys": message.GetKeys(),
		"body":   base64.StdEncoding.EncodeToString(message.Body),
		"queue":  strconv.Itoa(message.Queue.QueueId),
		"offset": strconv.FormatInt(message.QueueOffset, 10),
		"stored": strconv.Itoa(int(message.StoreSize)),
		"times":  strconv.Itoa(int(message.ReconsumeTimes)),
		"at":     strconv.FormatInt(message.StoreTimestamp, 10),
	}
	for name, value := range message.GetProperties() {
		line["p."+name] = value
	}
	line.print("got")
}
