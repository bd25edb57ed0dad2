import KaratBytes
import KaratTensors

/// A tensor or an attachment on its way into a KCF.
struct ChunkStream: Sendable {
  /// Where the bytes come from.
  enum Content: Sendable {
    /// Pulled from the source, chunk by chunk where that costs no more than the whole.
    case tensor(TensorName)
    case bytes([UInt8])
  }

  let content: Content
  /// What the bytes are, which decides how they are encoded.
  let dtype: DType
  let byteCount: Int
  /// The tensor of the same name, type and shape in the base, by its position, or nil.
  let baseTensor: UInt32?

  var chunkCount: Int { ChunkedFormat.chunkCount(byteCount) }
}

/// The base that differences are made from, with the order of its tensors.
struct DifferenceBase: Sendable {
  let source: any TensorSource
  let names: [TensorName]
  private let positions: [TensorName: UInt32]

  init(_ source: any TensorSource) {
    self.source = source
    names = source.manifest.names.sorted()
    positions = Dictionary(uniqueKeysWithValues: zip(names, 0...))
  }

  /// The position of a tensor of that name, type and shape, or nil where there is none.
  func position(of name: TensorName, _ info: TensorInfo) -> UInt32? {
    source.manifest[name] == info ? positions[name] : nil
  }
}

/// A chunk that is ready to be written.
struct EncodedChunk: Sendable {
  /// The chunk's entry, but for the offset.
  var entry: ChunkEntry
  /// Header, stored bytes and padding; empty where the record is there already.
  var record: [UInt8]
}

/// Encodes chunks, each by itself, on any thread.
struct ChunkEncoder: Sendable {
  let base: DifferenceBase?
  /// Whether what was encoded is decoded again and compared.
  let isVerifying: Bool

  /// Encodes a chunk.
  ///
  /// - Parameters:
  ///   - raw: its bytes.
  ///   - chunk: which of the stream's chunks it is.
  ///   - stream: what it is a chunk of.
  ///   - digest: the digest of its bytes.
  /// - Returns: its record, and its entry without a place.
  /// - Throws: `CheckpointError` where the base cannot be read, or what was encoded does not decode.
  func encode(
    _ raw: UnsafeRawBufferPointer,
    chunk: Int,
    of stream: ChunkStream,
    digest: SHA256Digest
  ) throws(CheckpointError) -> EncodedChunk {
    var best: EncodedChunk?
    if let base, let position = stream.baseTensor {
      let place = ChunkEntry.Base(tensor: position, chunk: UInt32(chunk))
      let start = chunk * ChunkedFormat.chunkSize
      best = try base.source.withBytes(
        start..<start + raw.count,
        of: base.names[Int(position)]
      ) { other throws(CheckpointError) in
        try ChunkRecordReader.chunkMemory.withResource { memory throws(CheckpointError) in
          let difference = memory.bytes.part(..<raw.count)
          difference.copyMemory(from: raw)
          exclusiveOr(difference, with: other)
          return try store(UnsafeRawBufferPointer(difference), stream.dtype, place, digest)
        }
      }
      // Far smaller than weights ever get by themselves.
      if let best, best.entry.storedByteCount <= raw.count / 4 { return best }
    }
    let plain = try store(raw, stream.dtype, nil, digest)
    guard let best, best.entry.storedByteCount < plain.entry.storedByteCount else { return plain }
    return best
  }

  private func store(
    _ bytes: UnsafeRawBufferPointer,
    _ dtype: DType,
    _ base: ChunkEntry.Base?,
    _ digest: SHA256Digest
  ) throws(CheckpointError) -> EncodedChunk {
    try ChunkRecordReader.chunkMemory.withResource { memory throws(CheckpointError) in
      let (encoding, count) = ChunkCodec.encode(bytes, of: dtype, into: memory.bytes)
      let stored = UnsafeRawBufferPointer(memory.bytes.part(..<count))
      if isVerifying { try verify(stored, encoding, equals: bytes) }
      let entry = ChunkEntry(
        offset: 0,
        storedByteCount: count,
        byteCount: bytes.count,
        encoding: encoding,
        base: base,
        digest: digest
      )
      var record: [UInt8] = []
      record.reserveCapacity(entry.recordByteCount)
      record += entry.header(of: stored)
      record.append(contentsOf: stored)
      record.pad(to: entry.recordByteCount)
      return EncodedChunk(entry: entry, record: record)
    }
  }

  private func verify(
    _ stored: UnsafeRawBufferPointer,
    _ encoding: ChunkEncoding,
    equals bytes: UnsafeRawBufferPointer
  ) throws(CheckpointError) {
    try ChunkRecordReader.chunkMemory.withResource { memory throws(CheckpointError) in
      let decoded = memory.bytes.part(..<bytes.count)
      do throws(ChunkFault) {
        try ChunkCodec.decode(stored, as: encoding, into: decoded)
      } catch {
        throw CheckpointError(
          .inputOutput,
          "an encoded chunk does not decode: \(error). Test this machine's memory."
        )
      }
      guard decoded.elementsEqual(bytes) else {
        throw CheckpointError(
          .inputOutput,
          "an encoded chunk decodes to other bytes than it was made of. Test this machine's memory."
        )
      }
    }
  }
}
