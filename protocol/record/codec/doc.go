// Package codec is the compression of record batches and of old message sets, framed as Kafka's Java clients frame it.
//
// It owns the byte formats, the pools of encoders and decoders, and the bounds: nothing that is decompressed here takes
// more memory than the limit its caller names, whatever the input claims about itself. It must never know what the
// bytes mean; records are its parent's business.
//
// All functions are safe for concurrent use and keep no reference to their arguments.
//
// Non-obvious:
//   - Snappy has two framings in the wild. Java, sarama and kafka-python write the xerial stream (a header, then blocks
//     with a length each); librdkafka and franz-go write one bare block. The header may come again in mid-stream, where
//     two streams were joined.
//   - LZ4 in messages of magic 0 has a wrong header checksum (KIP-57): it also covers the frame's magic. It is written
//     wrong, because old Java clients insist on it, and not looked at when reading, because other clients wrote it right.
//   - What follows the end of an LZ4 frame, or what does not parse as a further gzip member, is not an error: Java's
//     readers stop there. Behind a zstd frame it is an error, there too.
//   - LZ4 frames with linked blocks, a dictionary or reserved bits are refused, as Java's reader refuses them: an LZ4
//     batch that this broker would accept and no Java consumer could read helps nobody.
//   - No input at all is a valid, empty zstd stream, and an error in every other codec.
//   - The level 0 of this package is Kafka's default: gzip -1, lz4 9 (which means the fast compressor there, not the
//     ninth level of the high one), zstd 3.
package codec
