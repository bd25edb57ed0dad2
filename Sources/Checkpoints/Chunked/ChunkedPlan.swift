import KaratBytes
import KaratTensors

/// What a new generation is made of: what is encoded anew, and what is kept of the one before.
struct ChunkedPlan {
  /// What the index will say.
  let texts: ChunkedTexts
  /// What is encoded: tensors, then attachments.
  private(set) var streams: [ChunkStream] = []
  /// What differences are made from.
  let differences: DifferenceBase?
  /// Records that are in the file already, by their chunks' digests.
  private(set) var known: [SHA256Digest: ChunkEntry] = [:]

  /// Where the entries of a tensor or an attachment come from.
  private enum Origin {
    case stream(Int)
    case kept(Range<Int>)
  }
  private var origins: [Origin] = []
  private let old: ChunkedIndex?
  private let file: String

  /// Plans a generation.
  ///
  /// - Parameters:
  ///   - source: tensors that are added, or replace those of their names; its metadata counts.
  ///   - attachments: files that are added or replaced.
  ///   - old: the generation before, whose tensors stay unless removed.
  ///   - removed: names that go.
  ///   - base: what the index says of the base.
  ///   - file: the path, for messages.
  ///   - differences: the base itself.
  /// - Throws: `CheckpointError` where an attachment cannot be one.
  init(
    adding source: any TensorSource,
    _ attachments: [String: [UInt8]],
    to old: ChunkedIndex?,
    removing removed: Set<TensorName> = [],
    base: ChunkedBase?,
    file: String,
    differences: DifferenceBase?
  ) throws(CheckpointError) {
    self.old = old
    self.file = file
    self.differences = differences
    var manifest = old?.manifest ?? Manifest()
    manifest.metadata.merge(source.manifest.metadata) { $1 }
    manifest.removeAll { removed.contains($0) && source.manifest[$0] == nil }
    for name in source.manifest.names {
      if let info = source.manifest[name] { manifest.set(name, info) }
    }
    for name in manifest.names {
      guard let info = source.manifest[name] else {
        origins.append(.kept(old?.entries(of: name) ?? 0..<0))
        continue
      }
      origins.append(.stream(streams.count))
      streams.append(
        ChunkStream(
          content: .tensor(name),
          dtype: info.dtype,
          byteCount: info.byteCount ?? 0,
          baseTensor: differences?.position(of: name, info)
        )
      )
    }
    var texts = ChunkedTexts(manifest: manifest, base: base)
    let added = Set(attachments.keys.map(UTF8Key.init))
    let kept = (old?.attachments ?? []).enumerated().filter {
      !added.contains(UTF8Key($0.element.name))
    }
    let all: [(attachment: ChunkedAttachment, content: [UInt8]?, number: Int?)] =
      kept.map { ($0.element, nil, $0.offset) }
      + attachments.map { (Self.described($0, $1), $1, nil) }
    for (attachment, content, number) in all.sorted(by: {
      Self.precedes($0.attachment.name, $1.attachment.name)
    }) {
      if let objection = ChunkedAttachment.objection(to: attachment.name) {
        throw CheckpointError(
          .unsupported,
          file: file,
          "the attachment \(TensorName(attachment.name).quoted): \(objection)"
        )
      }
      guard attachment.byteCount <= ChunkedAttachment.largestByteCount else {
        throw CheckpointError(
          .unsupported,
          file: file,
          "the attachment \(TensorName(attachment.name).quoted) has \(attachment.byteCount) bytes;"
            + " at most \(ChunkedAttachment.largestByteCount) are allowed."
        )
      }
      texts.attachments.append(attachment)
      if let content {
        origins.append(.stream(streams.count))
        streams.append(
          ChunkStream(
            content: .bytes(content),
            dtype: .u8,
            byteCount: content.count,
            baseTensor: nil
          )
        )
      } else if let number {
        origins.append(.kept(old?.entries(ofAttachment: number) ?? 0..<0))
      }
    }
    if let folder = ChunkedAttachment.conflict(in: texts.attachments.map(\.name)) {
      throw CheckpointError(
        .unsupported,
        file: file,
        "the attachment \(TensorName(folder).quoted) is the folder of another attachment."
      )
    }
    self.texts = texts
    if let old {
      for number in 0..<old.entryCount {
        guard let entry = try? old.entry(number) else { continue }
        known[entry.digest] = known[entry.digest] ?? entry
      }
    }
  }

  /// The index and the trailer that commit the generation.
  ///
  /// - Parameters:
  ///   - entries: the entries of each stream.
  ///   - end: where the records end and the index goes.
  /// - Returns: the bytes of the index, and the trailer behind it.
  /// - Throws: `CheckpointError` where KCF cannot hold so much.
  func finish(
    _ entries: [[UInt8]],
    end: Int
  ) throws(CheckpointError) -> (index: [UInt8], trailer: ChunkedTrailer) {
    var all: [UInt8] = []
    for origin in origins {
      switch origin {
      case .stream(let number): all += entries[number]
      case .kept(let range):
        for number in range {
          old?.withEntryBytes(number) { all.append(contentsOf: $0) }
        }
      }
    }
    let generation = (old?.trailer.generation ?? 0) + 1
    let index = try ChunkedIndex.encoded(
      generation: generation,
      texts: texts,
      entries: all,
      file: file
    )
    var accumulator = SHA256Digest.Accumulator()
    index.withUnsafeBytes { accumulator.append($0) }
    var trailer = ChunkedTrailer(
      offset: end + index.count,
      generation: generation,
      previous: old?.trailer.offset,
      indexByteCount: index.count,
      indexDigest: accumulator.digest.bytes,
      root: accumulator.digest.bytes
    )
    // What will be opened is opened once before it is committed.
    trailer.root = try ChunkedIndexParser.parse(index, trailer, of: file).root().bytes
    return (index, trailer)
  }

  private static func described(_ name: String, _ content: [UInt8]) -> ChunkedAttachment {
    var accumulator = SHA256Digest.Accumulator()
    content.withUnsafeBytes { accumulator.append($0) }
    return ChunkedAttachment(
      name: name,
      byteCount: content.count,
      digest: accumulator.digest
    )
  }

  private static func precedes(_ one: String, _ other: String) -> Bool {
    one.utf8.lexicographicallyPrecedes(other.utf8)
  }
}
