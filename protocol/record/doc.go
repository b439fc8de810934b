// Package record is Kafka's record batches and the message formats before them, as bytes.
//
// It owns what lies in a log and in the records field of Produce and Fetch: the v2 batch as a view (Batch) with its
// walk (Each) and its maker (Builder), the judgement of what a client produced (Validate, which is Kafka's LogValidator
// and what UnifiedLog checks before it), the conversion of message sets of magic 0 and 1 into one batch on the way in,
// and back on the way out (Down), and the markers that end transactions. Everything is a pure function of bytes and
// arguments.
//
// It must never know files, offsets that are not given to it, producers' states, topics' settings beyond Rules, the time,
// or Kafka's requests.
//
// Bytes from outside never panic here and never cost more memory than the bounds in limits.go.
//
// Non-obvious:
//   - The magic is at byte 16 in every format, so mixed logs can be walked by Next. Fetch responses and torn files end in
//     the middle of an entry; that is ErrShort, and not corrupt.
//   - Base offset, length, leader epoch and magic lie outside a batch's CRC: the leader stamps the first and the third
//     without hashing anew. A change of the maximal timestamp or of an attribute costs a new CRC.
//   - Kafka judges a compressed batch that it will store as it came with a lax reader that skips keys, values and headers:
//     the length in front of each record is not looked at there, and is in an uncompressed batch or in one that is
//     recompressed. Validate has the same two readers, because what a Java broker takes must not be refused here.
//   - For the same reason offset deltas are checked only in compressed batches, where a gap is answered by
//     UNKNOWN_SERVER_ERROR (Kafka falls over its own lax reader when it tries to mend it), and a record with a timestamp
//     below -1 is taken unless the batch has to be rebuilt.
//   - A producer may flag its batch LogAppendTime: its records then all have the maximal timestamp. On a CreateTime topic
//     the flag is cleared and the maximum stays, though the records now show their own times again; a LogAppendTime topic
//     refuses it.
//   - What follows a batch is junk only if it is no whole entry; that is looked at before its header is, or a tail that
//     happens to look like a broken batch would get a good one refused.
//   - Old messages whose key or value length does not fit, under a right CRC, are UNKNOWN_SERVER_ERROR, and when that is
//     found depends on whether Kafka needs the lengths before or after it judges (see convertSet).
//   - A rebuilt batch keeps header keys to the byte. Kafka replaces there what is not UTF-8.
//   - Damaged compressed data is UNKNOWN_SERVER_ERROR, damaged records inside well compressed data are INVALID_RECORD.
//   - Bits 6 and 7 of the attributes that a client sets stay if the batch is stored untouched, bit 7 is lost if the
//     timestamp is rewritten, both are if the batch is rebuilt.
//   - In message sets the offset of a compressed wrapper is that of its last message. In magic 1 the inner ones count from
//     0; librdkafka leaves the wrapper's at 0 when it produces.
package record
