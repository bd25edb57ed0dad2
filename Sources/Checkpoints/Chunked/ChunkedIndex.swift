import KaratBytes
import KaratTensors

/// What a generation of a KCF holds: tensors, attachments, text, and where their chunks are.
///
/// An index of this type was checked: each tensor has the chunks that it needs, and their records
/// lie where records may.
struct ChunkedIndex: Sendable {
  static let mark: [UInt8] = Array("KCFINDEX".utf8)
  static let headByteCount = 64

  /// The generation's trailer.
  let trailer: ChunkedTrailer
  /// Names, types and shapes in the source's order, and text.
  let manifest: Manifest
  /// The attachments, sorted by the bytes of their names.
  let attachments: [ChunkedAttachment]
  /// What chunks may be differences from.
  let base: ChunkedBase?
  /// How many entries there are.
  let entryCount: Int

  /// Types and shapes in the order of the names: to look up a million names takes seconds.
  private let infos: [TensorInfo]
  /// The number of the first entry of each tensor, then of each attachment, then of none.
  private let firstEntries: [Int]
  /// The index as it is in the file.
  private let bytes: [UInt8]

  init(
    trailer: ChunkedTrailer,
    bytes: [UInt8],
    texts: ChunkedTexts,
    infos: [TensorInfo],
    entryCount: Int
  ) {
    self.trailer = trailer
    self.bytes = bytes
    self.infos = infos
    self.entryCount = entryCount
    manifest = texts.manifest
    attachments = texts.attachments
    base = texts.base
    var firstEntries = [0]
    firstEntries.reserveCapacity(infos.count + attachments.count + 1)
    for byteCount in infos.map({ $0.byteCount ?? 0 }) + attachments.map(\.byteCount) {
      firstEntries.append((firstEntries.last ?? 0) + ChunkedFormat.chunkCount(byteCount))
    }
    self.firstEntries = firstEntries
  }

  /// Lends the 64 bytes of an entry.
  func withEntryBytes<R>(_ number: Int, _ body: (UnsafeRawBufferPointer) -> R) -> R {
    bytes.withUnsafeBytes { bytes in
      let start = Self.headByteCount + number * ChunkEntry.byteCount
      return body(bytes.part(start..<start + ChunkEntry.byteCount))
    }
  }

  /// An entry, which was checked when the index was read.
  func entry(_ number: Int) throws(ChunkEntry.Fault) -> ChunkEntry {
    try bytes.span.withUnsafeBytes { bytes throws(ChunkEntry.Fault) in
      let start = Self.headByteCount + number * ChunkEntry.byteCount
      let entry = bytes.part(start..<start + ChunkEntry.byteCount)
      let offset = UInt64(littleEndian: entry.loadUnaligned(as: UInt64.self))
      guard let offset = Int(exactly: offset) else {
        throw ChunkEntry.Fault(message: "its record is to be at byte \(offset), beyond any file.")
      }
      return try ChunkEntry(entry, at: offset)
    }
  }

  /// The numbers of a tensor's entries.
  func entries(of name: TensorName) -> Range<Int>? {
    manifest.place(of: name).map { firstEntries[$0]..<firstEntries[$0 + 1] }
  }

  /// The numbers of an attachment's entries.
  func entries(ofAttachment number: Int) -> Range<Int> {
    firstEntries[infos.count + number]..<firstEntries[infos.count + number + 1]
  }

  /// The lengths of all chunks, in the order of the entries, with what they belong to.
  func forEachChunk<E: Error>(
    _ body: (_ entry: Int, _ owner: Owner, _ byteCount: Int) throws(E) -> Void
  ) throws(E) {
    var entry = 0
    func visit(_ owner: Owner, _ byteCount: Int) throws(E) {
      for chunk in 0..<ChunkedFormat.chunkCount(byteCount) {
        try body(entry, owner, ChunkedFormat.bytes(ofChunk: chunk, of: byteCount).count)
        entry += 1
      }
    }
    for (name, info) in zip(manifest.names, infos) {
      try visit(.tensor(name), info.byteCount ?? 0)
    }
    for attachment in attachments { try visit(.attachment(attachment.name), attachment.byteCount) }
  }

  /// The model root, which follows from the entries.
  func root() -> SHA256Digest {
    ContentRoot.checkpoint(
      manifest.names.indices.lazy.map { place in
        let leaves = (firstEntries[place]..<firstEntries[place + 1]).lazy.map { number in
          withEntryBytes(number) { SHA256Digest(bytes: Array($0[32..<64])) }
        }
        return (manifest.names[place], infos[place], ContentRoot.tensor(leaves))
      }
    )
  }

  /// What a chunk belongs to.
  enum Owner: Sendable {
    case tensor(TensorName)
    case attachment(String)
  }
}

extension ChunkedIndex.Owner {
  /// The tensor, or nil where it is an attachment.
  var tensor: TensorName? {
    if case .tensor(let name) = self { name } else { nil }
  }

  /// How the start of a message tells of an attachment.
  var prefix: String {
    if case .attachment(let name) = self {
      "the attachment \(TensorName(name).quoted): "
    } else {
      ""
    }
  }
}
