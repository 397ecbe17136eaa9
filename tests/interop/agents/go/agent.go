package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/admin"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/rlog"
)

// agent is a Go client that does what ../desk.py tells it: agent NAMESRV NAME.
type agent struct {
	namesrv     primitive.NamesrvAddr
	name        string
	producers   map[string]rocketmq.Producer
	transactors map[string]rocketmq.TransactionProducer
	stop        map[string]func() error
	pulls       int
}

func main() {
	rlog.SetLogLevel("warn")
	namesrv, err := primitive.NewNamesrvAddr(os.Args[1])
	if err != nil {
		panic(err)
	}
	a := &agent{namesrv: namesrv, name: os.Args[2], producers: map[string]rocketmq.Producer{},
		transactors: map[string]rocketmq.TransactionProducer{}, stop: map[string]func() error{}}
	serve("sync async oneway batch large compresses pull push tags keys properties nul creates-topics obeys "+
		"delays refuses refuses-one retries orders broadcasts transactions filters", a.work)
}

func (a *agent) work(command form) {
	switch command["do"] {
	case "producer":
		command.answer(nil, a.startProducer(command))
	case "transactor":
		command.answer(nil, a.startTransactor(command))
	case "consumer":
		command.answer(nil, a.startConsumer(command))
	case "stop":
		command.answer(nil, a.stop[command["name"]]())
	case "send":
		if command["mode"] == "transaction" {
			command.answer(a.sendInTransaction(command))
		} else {
			a.send(a.producers[command["by"]], command)
		}
	case "batch":
		result, err := a.producers[command["by"]].SendSync(context.Background(), batch(command)...)
		command.answer(told(result, err), err)
	case "pull":
		command.answer(nil, a.pull(command["topic"]))
	default:
		command.answer(nil, fmt.Errorf("unknown command %s", command["do"]))
	}
}

func message(topic string, f form) *primitive.Message {
	m := primitive.NewMessage(topic, f.body())
	if tags, ok := f["tags"]; ok {
		m.WithTag(tags)
	}
	if keys, ok := f["keys"]; ok {
		m.WithKeys(strings.Split(keys, " "))
	}
	if _, ok := f["level"]; ok {
		m.WithDelayTimeLevel(f.number("level"))
	}
	if lane, ok := f["lane"]; ok {
		m.WithShardingKey(lane)
	}
	for name, value := range f.under("p.") {
		m.WithProperty(name, value)
	}
	return m
}

func batch(command form) []*primitive.Message {
	var messages []*primitive.Message
	for i := 0; i < command.number("count"); i++ {
		messages = append(messages, message(command["topic"], command.under(fmt.Sprintf("%d.", i))))
	}
	return messages
}

func told(result *primitive.SendResult, err error) form {
	if err != nil {
		return nil
	}
	return form{
		"id":     result.MsgID,
		"queue":  strconv.Itoa(result.MessageQueue.QueueId),
		"offset": strconv.FormatInt(result.QueueOffset, 10),
	}
}

func (a *agent) send(p rocketmq.Producer, command form) {
	m := message(command["topic"], command)
	switch command["mode"] {
	case "sync":
		result, err := p.SendSync(context.Background(), m)
		command.answer(told(result, err), err)
	case "oneway":
		command.answer(nil, p.SendOneWay(context.Background(), m))
	default:
		err := p.SendAsync(context.Background(), func(_ context.Context, result *primitive.SendResult, err error) {
			command.answer(told(result, err), err)
		}, m)
		if err != nil {
			command.answer(nil, err)
		}
	}
}

// pull brings all that the queues of a topic hold, by a consumer of its own: one has one topic.
func (a *agent) pull(topic string) error {
	a.pulls++
	queues, err := a.queues(topic)
	if err != nil {
		return err
	}
	c, err := rocketmq.NewPullConsumer(append(consumerTLS,
		consumer.WithNameServer(a.namesrv),
		consumer.WithGroupName("readers-"+a.name+"-"+strconv.Itoa(a.pulls)),
		consumer.WithInstance(a.name+"-pull-"+strconv.Itoa(a.pulls)),
	)...)
	if err != nil {
		return err
	}
	if err := c.Subscribe(topic, consumer.MessageSelector{Type: consumer.TAG, Expression: "*"}); err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	for _, queue := range queues {
		for next, end := int64(0), int64(1); next < end; {
			result, err := c.PullFrom(context.Background(), queue, next, 32)
			if err != nil {
				return err
			}
			if result.Status != primitive.PullFound && result.Status != primitive.PullNoNewMsg {
				return fmt.Errorf("a pull of %v at %d gave %v", queue, next, result)
			}
			for _, message := range result.GetMessageExts() {
				arrived("pull", message)
			}
			next, end = result.NextBeginOffset, result.MaxOffset
		}
	}
	return c.Shutdown()
}

func (a *agent) queues(topic string) ([]*primitive.MessageQueue, error) {
	asker, err := admin.NewAdmin(append(adminTLS, admin.WithResolver(primitive.NewPassthroughResolver(a.namesrv)))...)
	if err != nil {
		return nil, err
	}
	defer asker.Close()
	return asker.FetchPublishMessageQueues(context.Background(), topic)
}
