// Package vfs is the file system as storage sees it: files written and read at explicit offsets, directories that are
// synced like files, read-only mappings. OS is the machine's; Mem keeps everything in memory and can be cloned as it
// would look after a crash; WithHook and WithFaults stand in front of either and watch it or make it fail.
//
// It must never know what a log is.
//
// Non-obvious:
//
//   - A name is durable only after SyncDir of its directory, and bytes only after Sync of the file; Mem holds storage to
//     both, more strictly than any one Linux file system does.
//   - A file stays readable through an open File after its name is gone; storage leans on that to let readers finish
//     with a segment that retention has removed.
//   - Bytes of a mapping may fault: the file was cut, or the disk cannot read the page. View turns the fault into
//     ErrFault instead of the death of the process.
//   - The lock is an open-file-description lock where the system has it: it excludes a Java broker, whose lock is a POSIX
//     one, and also a second broker in this very process, which a POSIX lock would not.
package vfs
