'use strict';

// The Node client `ali-ons` that does what ../desk.py tells it: agent.js NAMESRV NAME.

const readline = require('readline');
const { Consumer, Producer, Message } = require('ali-ons');
const ConsumeFromWhere = require('ali-ons/lib/consumer/consume_from_where');

const [namesrv, name] = process.argv.slice(2);
// Standard output is for the lines of desk.py alone.
const logger = { info() {}, debug() {}, warn: (...words) => console.error(...words), error: (...words) => console.error(...words) };
// The library wants a client for an address server and never asks it when it is given a name server.
const httpclient = { request() { throw new Error('there is no address server'); } };
const common = { nameSrv: namesrv, httpclient, logger, clientIP: '127.0.0.1' };
const open = new Map();

function say(form) {
  process.stdout.write(new URLSearchParams(form).toString() + '\n');
}

function under(prefix, form) {
  const names = Object.keys(form).filter(member => member.startsWith(prefix));
  return Object.fromEntries(names.map(member => [member.slice(prefix.length), form[member]]));
}

function made(form) {
  const message = new Message(form.topic, form.tags, Buffer.from(form.body, 'base64'));
  // The library would send the word `undefined`.
  if (form.tags === undefined) delete message.properties.TAGS;
  if (form.keys !== undefined) message.keys = form.keys.split(' ');
  Object.assign(message.properties, under('p.', form));
  return message;
}

function arrived(consumer, message) {
  const line = {
    got: consumer,
    topic: message.topic,
    tags: message.tags || '',
    keys: message.keys || '',
    body: message.body.toString('base64'),
    queue: message.queueId,
    offset: message.queueOffset,
    stored: message.storeSize,
  };
  for (const [property, value] of Object.entries(message.properties)) line['p.' + property] = value;
  say(line);
}

const work = {
  async producer(command) {
    const producer = new Producer({ ...common, producerGroup: command.group, instanceName: `${name}-${command.name}`, sendMsgTimeout: 10000 });
    producer.on('error', why => console.error(why));
    await producer.ready();
    open.set(command.name, producer);
  },

  async consumer(command) {
    const consumer = new Consumer({
      ...common,
      consumerGroup: command.group,
      instanceName: `${name}-${command.name}`,
      consumeFromWhere: ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET,
    });
    consumer.on('error', why => console.error(why));
    for (const topic of command.topics.split(',')) {
      consumer.subscribe(topic, command.tags, async message => arrived(command.name, message));
    }
    await consumer.ready();
    open.set(command.name, consumer);
  },

  async stop(command) {
    await open.get(command.name).close();
  },

  async send(command) {
    const result = await open.get(command.by).send(made(command));
    return { id: result.msgId, queue: result.messageQueue.queueId, offset: result.queueOffset };
  },
};

say({ can: 'sync async large compresses push tags keys properties nul' });
const input = readline.createInterface({ input: process.stdin });
input.on('line', async line => {
  const command = Object.fromEntries(new URLSearchParams(line));
  try {
    say({ call: command.call, ...(await work[command.do](command)) });
  } catch (why) {
    console.error(why);
    say({ call: command.call, error: String(why) });
  }
});
input.on('close', () => process.exit(0));
