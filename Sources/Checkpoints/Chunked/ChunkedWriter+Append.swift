import KaratBytes
public import KaratTensors

extension ChunkedWriter {
  /// Appends a generation to a file: tensors that are added or replace others, in one commit.
  ///
  /// What was committed before is not written over: a crash at any moment leaves the generation
  /// before readable, by `ChunkedReader.Recovery.lastCommit`, or the new one complete. Chunks that
  /// are in the file already are not stored again.
  ///
  /// - Parameters:
  ///   - source: tensors that are added, or replace those of their names; its metadata is merged.
  ///   - attachments: files that are added or replaced.
  ///   - removed: tensors that are no longer there.
  ///   - path: a KCF file.
  ///   - recovery: what is done where the file does not end with a commit; what follows the last one
  ///     is cut off with `lastCommit`.
  /// - Throws: `CheckpointError` where the file cannot be read or written, or another writer has it;
  ///   it is as before then.
  public func append(
    _ source: some TensorSource,
    attachments: [String: [UInt8]] = [:],
    removing removed: Set<TensorName> = [],
    to path: String,
    recovery: ChunkedReader.Recovery = .refused
  ) throws(CheckpointError) {
    let file = try CheckpointError.onFiles { () throws(FileError) in
      let file = try fileSystem.openForUpdate(path)
      guard try file.tryLock() else {
        throw FileError(
          .other,
          path,
          .lock,
          "another run is writing it. Wait until that is done."
        )
      }
      return file
    }
    let reader = try ChunkedReader(try CheckpointFile(file), recovery: recovery)
    guard reader.head.appendFeatures == 0 else {
      throw CheckpointError(
        .unsupported,
        file: path,
        "who appends to it must know the features \(String(reader.head.appendFeatures, radix: 2))"
          + " (bits); none are known. Convert it to a new file."
      )
    }
    let end = reader.index.trailer.offset + ChunkedTrailer.byteCount
    do throws(CheckpointError) {
      try append(source, attachments, removed, to: file, behind: reader, end: end)
    } catch {
      // A file that refused once takes nothing more; another descriptor may.
      try? fileSystem.openForUpdate(path).truncate(to: end)
      throw error
    }
  }

  private func append(
    _ source: any TensorSource,
    _ attachments: [String: [UInt8]],
    _ removed: Set<TensorName>,
    to file: WritableFile,
    behind reader: ChunkedReader,
    end: Int
  ) throws(CheckpointError) {
    let plan = try ChunkedPlan(
      adding: source,
      attachments,
      to: reader.index,
      removing: removed,
      base: reader.base,
      file: file.path,
      differences: nil
    )
    _ = try plan.texts.encoded(file: file.path)
    if reader.uncommittedByteCount > 0 {
      try CheckpointError.onFiles { () throws(FileError) in
        try file.truncate(to: end)
        try file.flush()
      }
    }
    var writer = recordWriter(to: file, from: end, plan, pulling: source)
    let generation = try plan.finish(try writer.write(plan.streams), end: writer.end)
    try CheckpointError.onFiles { () throws(FileError) in
      try write(generation.index, to: file, at: writer.end)
      // The trailer promises that all before it is there.
      try file.flush()
      try write(generation.trailer.bytes, to: file, at: generation.trailer.offset)
      try file.flush()
      try file.close()
    }
  }
}
