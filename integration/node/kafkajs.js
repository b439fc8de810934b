// kafkajs: produce with each codec, group consume with a rebalance, admin. Run as: node kafkajs.js HOST:PORT, with NODE_PATH at
// the installed modules.
const assert = require('node:assert/strict')
const { Kafka, AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes, CompressionTypes, CompressionCodecs, logLevel } = require('kafkajs')
const snappy = require('snappyjs')
const lz4 = require('lz4-napi')
const { ZstdCodec } = require('zstd-codec')

const broker = process.argv[2]
const apache = process.env.BARNABAS_TARGET === 'kafka'
const run = Math.random().toString(36).slice(2)
const name = (what) => `js-${what}-${run}`
const step = (title) => console.log('..', title)

// Kafka frames snappy as xerial does: a magic, two versions, then blocks with their size before them.
const xerial = Buffer.from('82534e415050590000000001' + '00000001', 'hex')
CompressionCodecs[CompressionTypes.Snappy] = () => ({
  async compress({ buffer }) {
    const block = snappy.compress(buffer)
    const size = Buffer.alloc(4)
    size.writeInt32BE(block.length)
    return Buffer.concat([xerial, size, block])
  },
  async decompress(buffer) {
    if (!buffer.subarray(0, 8).equals(xerial.subarray(0, 8))) return snappy.uncompress(buffer)
    const out = []
    for (let at = 16; at < buffer.length; ) {
      const n = buffer.readInt32BE(at)
      out.push(snappy.uncompress(buffer.subarray(at + 4, at + 4 + n)))
      at += 4 + n
    }
    return Buffer.concat(out)
  },
})
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: ({ buffer }) => lz4.compressFrame(buffer),
  decompress: (buffer) => lz4.decompressFrame(buffer),
})
const zstd = new Promise((resolve) => ZstdCodec.run((z) => resolve(new z.Simple())))
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  async compress({ buffer }) { return Buffer.from((await zstd).compress(buffer, 3)) },
  async decompress(buffer) { return Buffer.from((await zstd).decompress(buffer)) },
})

const kafka = new Kafka({ clientId: 'kafkajs', brokers: [broker], logLevel: logLevel.ERROR, retry: { initialRetryTime: 100, retries: 20 } })

// until resolves when the promise-less condition holds; it is looked at whenever something happened (wake).
const waiting = new Set()
const wake = () => waiting.forEach((look) => look())
const until = (what, ok) => new Promise((resolve, reject) => {
  const timer = setTimeout(() => reject(new Error('gave up waiting until ' + what)), 60000)
  const look = () => { if (ok()) { waiting.delete(look); clearTimeout(timer); resolve() } }
  waiting.add(look)
  look()
})

async function main() {
  const called = new Set()
  const admin = new Proxy(kafka.admin(), { get: (of, call) => { called.add(call); return of[call] } })
  await admin.connect()
  step('admin: topics')
  const topic = name('topic')
  assert.equal(await admin.createTopics({ topics: [{ topic, numPartitions: 2, configEntries: [{ name: 'retention.ms', value: '-1' }] }], waitForLeaders: true }), true)
  assert.equal(await admin.createTopics({ topics: [{ topic }] }), false)
  assert.ok((await admin.listTopics()).includes(topic))
  assert.equal((await admin.describeCluster()).brokers.length, 1)

  step('producer')
  const codecs = { None: 0, GZIP: 1, Snappy: 2, LZ4: 3, ZSTD: 4 }
  for (const idempotent of [false, true]) {
    const producer = kafka.producer({ idempotent, maxInFlightRequests: idempotent ? 1 : undefined })
    await producer.connect()
    for (const [codec, compression] of Object.entries(codecs)) {
      const messages = [...Array(10).keys()].map((i) => ({ key: 'k', value: `${codec} ${i} `.repeat(10), partition: i % 2, headers: { h: 'v' }, timestamp: String(1700000000000 + i) }))
      const sent = await producer.send({ topic, acks: -1, compression, messages })
      assert.equal(sent.length, 2)
      assert.ok(sent.every((r) => r.errorCode === 0))
    }
    await producer.disconnect()
  }

  step('consumer: all codecs')
  const groupId = name('group')
  const seen = []
  const member = (onMessage) => {
    const consumer = kafka.consumer({ groupId, sessionTimeout: 10000, heartbeatInterval: 300, rebalanceTimeout: 10000, maxWaitTimeInMs: 200 })
    consumer.held = null
    consumer.on(consumer.events.GROUP_JOIN, (e) => { consumer.held = (e.payload.memberAssignment[topic] || []).length; wake() })
    return consumer.connect()
      .then(() => consumer.subscribe({ topics: [topic], fromBeginning: true }))
      .then(() => consumer.run({ autoCommit: false, eachMessage: async (m) => onMessage(m) }))
      .then(() => consumer)
  }
  const a = await member((m) => { seen.push(m); wake() })
  await until('100 messages came', () => seen.length >= 100)
  for (const { message, partition } of seen) {
    assert.equal(message.key.toString(), 'k')
    assert.equal(message.headers.h.toString(), 'v')
    assert.match(message.value.toString(), /^(None|GZIP|Snappy|LZ4|ZSTD) [0-9] /)
    assert.ok(partition === 0 || partition === 1)
  }
  for (const p of [0, 1]) {
    assert.deepEqual(seen.filter((m) => m.partition === p).map((m) => Number(m.message.offset)), [...Array(50).keys()])
  }

  step('consumer: commit, seek, a rebalance')
  await a.commitOffsets([{ topic, partition: 0, offset: '50' }, { topic, partition: 1, offset: '40', metadata: 'note' }])
  const offsets = (await admin.fetchOffsets({ groupId, topics: [topic] }))[0].partitions.sort((x, y) => x.partition - y.partition)
  assert.deepEqual(offsets.map((o) => o.offset), ['50', '40'])
  const before = seen.length
  a.seek({ topic, partition: 1, offset: '45' })
  await until('the messages after the seek came', () => seen.length >= before + 5)
  assert.deepEqual(seen.slice(before).map((m) => m.message.offset), ['45', '46', '47', '48', '49'])
  const b = await member(() => {})
  await until('they share', () => a.held === 1 && b.held === 1)
  const groups = await admin.describeGroups([groupId])
  assert.equal(groups.groups[0].members.length, 2)
  assert.equal(groups.groups[0].state, 'Stable')
  await b.disconnect()
  await until('a has both again', () => a.held === 2)
  await a.disconnect()

  step('admin: the rest')
  assert.ok((await admin.listGroups()).groups.some((g) => g.groupId === groupId))
  await admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: '3' }] })
  await admin.resetOffsets({ groupId, topic, earliest: true })
  await admin.deleteGroups([groupId])
  assert.deepEqual((await admin.fetchTopicOffsets(topic)).map((o) => o.high).sort(), ['50', '50'])
  assert.ok((await admin.fetchTopicOffsetsByTimestamp(topic, 1700000000000)).length === 2)
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '20' }] })
  await admin.createPartitions({ topicPartitions: [{ topic, count: 4 }] })
  assert.equal((await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length, 4)
  await admin.alterConfigs({ resources: [{ type: 2, name: topic, configEntries: [{ name: 'retention.ms', value: '5000000' }] }] })
  const configs = await admin.describeConfigs({ includeSynonyms: true, resources: [{ type: 2, name: topic, configNames: ['retention.ms'] }] })
  assert.equal(configs.resources[0].configEntries[0].configValue, '5000000')
  assert.deepEqual(await admin.listPartitionReassignments({}), { topics: [] })
  await assert.rejects(admin.alterPartitionReassignments({ topics: [{ topic, partitionAssignment: [{ partition: 0, replicas: [77] }] }] }), apache ? { name: 'KafkaJSAggregateError' } : /not support|not implemented/i)
  const acl = { resourceType: AclResourceTypes.TOPIC, resourceName: topic, resourcePatternType: ResourcePatternTypes.LITERAL, principal: 'User:a', host: '*', operation: AclOperationTypes.READ, permissionType: AclPermissionTypes.ALLOW }
  await assert.rejects(admin.describeAcls(acl), { type: 'SECURITY_DISABLED' })
  await assert.rejects(admin.createAcls({ acl: [acl] }), { type: 'SECURITY_DISABLED' })
  await assert.rejects(admin.deleteAcls({ filters: [acl] }), { type: 'SECURITY_DISABLED' })
  await assert.rejects(admin.createPartitions({ topicPartitions: [{ topic, count: 1 }] }), { type: 'INVALID_PARTITIONS' })
  await assert.rejects(admin.deleteGroups([name('none')]), /groups/i)
  await admin.deleteTopics({ topics: [topic] })
  assert.ok(!(await admin.listTopics()).includes(topic))
  await admin.disconnect()
  const events = ['on', 'logger', 'events', 'getTopicMetadata'] // no requests, and an old name
  assert.deepEqual(Object.keys(kafka.admin()).filter((call) => !called.has(call) && !events.includes(call)), [], 'calls of the admin client that were not tried')
}

main().then(() => { console.log('kafkajs: passed'); process.exit(0) }, (e) => { console.error(e); process.exit(1) })
