import KaratBytes
import KaratTensors

/// Writes the records of a generation behind the end of a file: chunks are pulled and encoded on
/// several threads, and written in order, while the next ones are encoded.
///
/// What is written depends neither on the number of threads nor on where an interrupted run ended.
struct ChunkRecordWriter {
  /// Where the next record goes.
  private(set) var end: Int

  private let file: WritableFile
  private let source: any TensorSource
  private let encoder: ChunkEncoder
  private let threads: Int
  private let onProgress: (@Sendable (Int) -> Void)?

  /// Records that are named already, by the digests of their chunks.
  private let known: KnownChunks
  /// What an interrupted run left behind `end`.
  private var left: LeftRecords?
  /// Records that were encoded and are to be written.
  private var pending: [(offset: Int, record: [UInt8])] = []

  /// Chunks that are encoded between two waits, and their bytes.
  private static let mostChunks = 4096
  private static let mostBytes = 32 << 20

  /// Prepares to write.
  ///
  /// - Parameters:
  ///   - file: the file.
  ///   - end: where the first record goes.
  ///   - source: what tensors are pulled from.
  ///   - encoder: how chunks are encoded.
  ///   - known: entries of earlier generations.
  ///   - left: what an interrupted run left.
  ///   - threads: how many encode.
  ///   - onProgress: called with the number of bytes of each chunk that was encoded.
  init(
    to file: WritableFile,
    from end: Int,
    pulling source: any TensorSource,
    encoder: ChunkEncoder,
    known: [SHA256Digest: ChunkEntry] = [:],
    left: LeftRecords? = nil,
    threads: Int,
    onProgress: (@Sendable (Int) -> Void)?
  ) {
    self.file = file
    self.end = end
    self.source = source
    self.encoder = encoder
    self.known = KnownChunks(known)
    self.left = left
    self.threads = threads
    self.onProgress = onProgress
  }

  /// One chunk of a batch.
  private struct Item {
    let stream: Int
    let chunk: Int
    let range: Range<Int>
  }

  /// Writes all chunks of streams.
  ///
  /// - Returns: for each stream, its entries as they are in an index.
  mutating func write(_ streams: [ChunkStream]) throws(CheckpointError) -> [[UInt8]] {
    var entries = streams.map { _ in [UInt8]() }
    var batch: [Item] = []
    var byteCount = 0
    for (number, stream) in streams.enumerated() {
      entries[number].reserveCapacity(stream.chunkCount * ChunkEntry.byteCount)
      var whole: Tensor?
      if case .tensor(let name) = stream.content, !source.isDivisible(name), stream.byteCount > 0 {
        // To pull a chunk of it would compute all of it.
        try encode(&batch, streams, nil, &entries)
        byteCount = 0
        whole = try source.tensor(name)
      }
      for chunk in 0..<stream.chunkCount {
        let range = ChunkedFormat.bytes(ofChunk: chunk, of: stream.byteCount)
        if batch.count == Self.mostChunks || byteCount + range.count > Self.mostBytes {
          try encode(&batch, streams, whole, &entries)
          byteCount = 0
        }
        batch.append(Item(stream: number, chunk: chunk, range: range))
        byteCount += range.count
      }
      if whole != nil {
        try encode(&batch, streams, whole, &entries)
        byteCount = 0
      }
    }
    try encode(&batch, streams, nil, &entries)
    try Self.write(pending, to: file)
    pending = []
    if left != nil { try cut() }
    return entries
  }

  /// Encodes a batch, while what was encoded before is written, and decides where its records go.
  private mutating func encode(
    _ batch: inout [Item],
    _ streams: [ChunkStream],
    _ whole: Tensor?,
    _ entries: inout [[UInt8]]
  ) throws(CheckpointError) {
    guard !batch.isEmpty else { return }
    let items = batch
    let ready = pending
    let (file, known, left, encoder, source) = (file, known, left, encoder, source)
    var results = [EncodedChunk?](repeating: nil, count: items.count)
    try results.withUnsafeMutableBufferPointer { results throws(CheckpointError) in
      nonisolated(unsafe) let results = results
      try concurrently(items.count + 1, threads: threads) { task throws(CheckpointError) in
        guard task > 0 else { return try Self.write(ready, to: file) }
        let item = items[task - 1]
        let stream = streams[item.stream]
        try Self.withBytes(of: item, stream, whole, source) { raw throws(CheckpointError) in
          let digest = ContentRoot.leaf(raw)
          if let entry = known.entries[digest] ?? left?.entry(of: digest) {
            results[task - 1] = EncodedChunk(entry: entry, record: [])
          } else {
            results[task - 1] = try encoder.encode(
              raw,
              chunk: item.chunk,
              of: stream,
              digest: digest
            )
          }
        }
      }
    }
    pending = []
    for (item, result) in zip(items, results) {
      guard let result else { continue }
      let entry = try place(result, item, streams[item.stream], whole)
      entries[item.stream] += entry.indexBytes
      onProgress?(item.range.count)
    }
    batch = []
  }

  /// Decides where a chunk's record is.
  private mutating func place(
    _ chunk: EncodedChunk,
    _ item: Item,
    _ stream: ChunkStream,
    _ whole: Tensor?
  ) throws(CheckpointError) -> ChunkEntry {
    if let entry = known.entries[chunk.entry.digest] { return entry }
    var chunk = chunk
    if left != nil {
      if chunk.record.isEmpty, chunk.entry.offset == end {
        end = chunk.entry.end
        known.entries[chunk.entry.digest] = chunk.entry
        return chunk.entry
      }
      try cut()
    }
    if chunk.record.isEmpty {
      // What was left is not what comes next: it was cut off.
      chunk = try Self.withBytes(of: item, stream, whole, source) { raw throws(CheckpointError) in
        try encoder.encode(raw, chunk: item.chunk, of: stream, digest: chunk.entry.digest)
      }
    }
    chunk.entry.offset = end
    pending.append((end, chunk.record))
    end += chunk.record.count
    known.entries[chunk.entry.digest] = chunk.entry
    return chunk.entry
  }

  /// Cuts off what an interrupted run left and is not what comes next.
  private mutating func cut() throws(CheckpointError) {
    left = nil
    try CheckpointError.onFiles { () throws(FileError) in try file.truncate(to: end) }
  }

  private static func withBytes<R>(
    of item: Item,
    _ stream: ChunkStream,
    _ whole: Tensor?,
    _ source: any TensorSource,
    _ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> R
  ) throws(CheckpointError) -> R {
    switch stream.content {
    case .bytes(let bytes):
      return try bytes.span.withUnsafeBytes { bytes throws(CheckpointError) in
        try body(bytes.part(item.range))
      }
    case .tensor(let name):
      guard let whole else { return try source.withBytes(item.range, of: name, body) }
      return try whole.withBytes { bytes throws(CheckpointError) in
        guard whole.dtype == stream.dtype, bytes.count == stream.byteCount else {
          throw CheckpointError(
            .malformed,
            tensor: name,
            "what came is \(whole.dtype.rawValue) of shape \(whole.shape); the manifest says"
              + " otherwise."
          )
        }
        return try body(bytes.part(item.range))
      }
    }
  }

  /// Writes records, the small ones together.
  private static func write(
    _ records: [(offset: Int, record: [UInt8])],
    to file: WritableFile
  ) throws(CheckpointError) {
    var buffer: [UInt8] = []
    var start = 0
    func flush() throws(FileError) {
      try buffer.span.withUnsafeBytes { bytes throws(FileError) in
        try file.write(bytes, at: start)
      }
      buffer.removeAll(keepingCapacity: true)
    }
    do throws(FileError) {
      for (offset, record) in records {
        if buffer.count + record.count > 1 << 20 || offset != start + buffer.count { try flush() }
        if buffer.isEmpty { start = offset }
        buffer += record
      }
      try flush()
    } catch {
      throw CheckpointError(error)
    }
  }
}

/// Entries by the digests of their chunks.
///
/// Unchecked: many threads read it while a batch is encoded, and one writes it between two batches. A
/// dictionary in its place would be copied for each batch.
private final class KnownChunks: @unchecked Sendable {
  var entries: [SHA256Digest: ChunkEntry]

  init(_ entries: [SHA256Digest: ChunkEntry]) {
    self.entries = entries
  }
}
