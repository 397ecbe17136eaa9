package main

import (
	"context"
	"strings"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

func (a *agent) producerOptions(command form) []producer.Option {
	return append(producerTLS,
		producer.WithNameServer(a.namesrv),
		producer.WithGroupName(command["group"]),
		producer.WithInstanceName(a.name+"-"+command["name"]),
		producer.WithSendMsgTimeout(10*time.Second),
		producer.WithQueueSelector(lanes{producer.NewHashQueueSelector(), producer.NewRoundRobinQueueSelector()}),
	)
}

// lanes keeps messages with one key in one queue, and gives the others to all queues in turn.
type lanes struct{ byKey, inTurn producer.QueueSelector }

func (l lanes) Select(message *primitive.Message, queues []*primitive.MessageQueue, lastBroker string) *primitive.MessageQueue {
	if message.GetShardingKey() == "" {
		return l.inTurn.Select(message, queues, lastBroker)
	}
	return l.byKey.Select(message, queues, lastBroker)
}

func (a *agent) startProducer(command form) error {
	p, err := rocketmq.NewProducer(a.producerOptions(command)...)
	if err != nil {
		return err
	}
	a.producers[command["name"]] = p
	a.stop[command["name"]] = p.Shutdown
	return p.Start()
}

func (a *agent) startTransactor(command form) error {
	p, err := rocketmq.NewTransactionProducer(said{command["name"]}, a.producerOptions(command)...)
	if err != nil {
		return err
	}
	a.transactors[command["name"]] = p
	a.stop[command["name"]] = p.Shutdown
	return p.Start()
}

// sendInTransaction leaves out where the half message is stored: the message is stored elsewhere when it is committed.
func (a *agent) sendInTransaction(command form) (form, error) {
	result, err := a.transactors[command["by"]].SendMessageInTransaction(context.Background(), message(command["topic"], command))
	if err != nil {
		return nil, err
	}
	return form{"id": result.MsgID}, nil
}

// said listens for the producer of that name: a message's tag tells its outcome, what is said at once and what when asked.
type said struct{ by string }

func (s said) ExecuteLocalTransaction(message *primitive.Message) primitive.LocalTransactionState {
	return outcome(message, 0)
}

func (s said) CheckLocalTransaction(message *primitive.MessageExt) primitive.LocalTransactionState {
	arrived(s.by, message)
	return outcome(&message.Message, 1)
}

func outcome(message *primitive.Message, time int) primitive.LocalTransactionState {
	switch strings.Split(message.GetTags(), "-")[time] {
	case "commit":
		return primitive.CommitMessageState
	case "rollback":
		return primitive.RollbackMessageState
	default:
		return primitive.UnknowState
	}
}
