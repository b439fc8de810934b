package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"barnabas/storage/dump"
	"barnabas/storage/vfs"
)

func newDumpLog() *cobra.Command {
	var o dump.Options
	var offsets, transactions bool
	cmd := &cobra.Command{
		Use:   "dump-log FILE...",
		Short: "Print the files of a log directory",
		Long: `Print any file of a log directory: .log, .index, .timeindex, .txnindex, .snapshot, the checkpoints, meta.properties.
It reads them where they are, a running broker's too, and changes nothing. What is wrong with a file is printed after it.`,
		Example: `  barnabas dump-log data/orders-0/00000000000000000000.log
  barnabas dump-log --deep --data data/orders-0/*.log
  barnabas dump-log --offsets data/__consumer_offsets-7/00000000000000000000.log
  barnabas dump-log --verify data/orders-0/*.index data/orders-0/*.timeindex`,
		Args: arguments(1, -1),
		RunE: func(cmd *cobra.Command, files []string) error {
			switch {
			case offsets:
				o.Decoder = dump.Offsets
			case transactions:
				o.Decoder = dump.Transactions
			}
			var failed error
			for _, file := range files {
				path, err := filepath.Abs(file)
				if err != nil {
					return err
				}
				if info, err := os.Stat(path); err == nil && info.IsDir() {
					failed = errors.Join(failed, fmt.Errorf("dump: %s is a folder: name files in it", file))
					continue
				}
				if err := dump.File(cmd.OutOrStdout(), vfs.OS, path, o); err != nil {
					failed = errors.Join(failed, fmt.Errorf("dump: %w", err))
				}
			}
			return failed
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.Deep, "deep", false, "print the records of each batch")
	f.BoolVar(&o.Data, "data", false, "print keys and values too")
	f.BoolVar(&offsets, "offsets", false, "decode records of __consumer_offsets")
	f.BoolVar(&transactions, "transactions", false, "decode records of __transaction_state")
	f.BoolVar(&o.SkipMetadata, "skip-metadata", false, "print only keys and values")
	f.Int64Var(&o.MaxBytes, "max-bytes", 0, "read only this much of a .log file")
	f.BoolVar(&o.SanityOnly, "sanity", false, "of an index print only whether it is sound")
	f.BoolVar(&o.VerifyOnly, "verify", false, "of an index print only where it disagrees with the log")
	cmd.MarkFlagsMutuallyExclusive("offsets", "transactions")
	return cmd
}
