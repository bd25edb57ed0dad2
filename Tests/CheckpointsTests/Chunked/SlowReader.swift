import KaratBytes

/// A second reader of KCF, written from `formats/kcf.md` section by section, on plain arrays.
///
/// It shares no code with `ChunkedReader` but SHA-256 and the system's Zstandard. What it finds wrong
/// it says in a few words.
struct SlowReader {
  struct Fault: Error {
    let what: String
  }

  struct Tensor {
    let type: String
    let extents: [UInt64]
    let content: [UInt8]
  }

  var tensors: [(name: [UInt8], tensor: Tensor)] = []
  var attachments: [(name: String, content: [UInt8])] = []
  var metadata: [(key: String, value: String)] = []
  var base: (root: [UInt8], path: String, depth: Int)?
  var root: [UInt8] = []

  /// Reads a whole file.
  ///
  /// - Parameters:
  ///   - file: its bytes.
  ///   - baseTensors: the contents of the base's tensors, sorted by the bytes of their names.
  /// - Throws: `Fault` for the first rule that is broken.
  init(_ file: [UInt8], baseTensors: [[UInt8]] = []) throws {
    try Self.readHead(file)
    // Section 5: the last 128 bytes are the trailer, and each says where the one before it is.
    var trailers = [try Trailer(file, at: file.count - 128)]
    while trailers[0].previous != 0 {
      let before = try Trailer(file, at: trailers[0].previous)
      guard before.generation + 1 == trailers[0].generation else { throw Fault(what: "generation") }
      trailers.insert(before, at: 0)
    }
    guard trailers[0].generation == 1 else { throw Fault(what: "first generation") }
    var records: [Int: [UInt8]] = [:]
    for trailer in trailers {
      let start = trailer.previous == 0 ? 64 : trailer.previous + 128
      self = try SlowReader(file, trailer, start, &records, baseTensors)
    }
  }

  private init(
    _ file: [UInt8],
    _ trailer: Trailer,
    _ start: Int,
    _ records: inout [Int: [UInt8]],
    _ baseTensors: [[UInt8]]
  ) throws {
    let index = try SlowIndex(file, trailer)
    base = index.base
    metadata = index.metadata
    var entries = index.entries[...]
    var place = start
    func content(_ byteCount: UInt64) throws -> (content: [UInt8], leaves: [[UInt8]]) {
      var content: [UInt8] = []
      var leaves: [[UInt8]] = []
      while UInt64(content.count) < byteCount {
        guard let entry = entries.popFirst() else { throw Fault(what: "too few entries") }
        guard let offset = Int(exactly: number(entry[0..<8])) else { throw Fault(what: "offset") }
        let chunk = try SlowChunk(file, offset, entry, baseTensors)
        let size = min(byteCount - UInt64(content.count), 1 << 20)
        guard chunk.content.count == size else { throw Fault(what: "chunk length") }
        if let known = records[offset] {
          guard known == Array(entry) else { throw Fault(what: "entries differ") }
        } else {
          guard offset == place else { throw Fault(what: "hole") }
          place += chunk.recordByteCount
          records[offset] = Array(entry)
        }
        content += chunk.content
        leaves.append(chunk.digest)
      }
      return (content, leaves)
    }
    var leaves: [(name: [UInt8], leaf: [UInt8])] = []
    for tensor in index.tensors {
      let (bytes, chunks) = try content(tensor.byteCount)
      let root = SlowHash.root(chunks)
      tensors.append(
        (tensor.name, Tensor(type: tensor.type, extents: tensor.extents, content: bytes))
      )
      let leaf =
        bytes8(tensor.name.count) + tensor.name + bytes8(tensor.type.utf8.count)
        + Array(tensor.type.utf8) + bytes8(tensor.extents.count)
        + tensor.extents.flatMap { bytes8(Int($0)) } + root
      leaves.append((tensor.name, SlowHash.leaf(leaf)))
    }
    for attachment in index.attachments {
      let bytes = try content(attachment.byteCount).content
      guard SlowHash.sha256(bytes) == attachment.digest else { throw Fault(what: "attachment") }
      attachments.append((attachment.name, bytes))
    }
    guard entries.isEmpty else { throw Fault(what: "too many entries") }
    guard place == trailer.offset - trailer.indexByteCount else { throw Fault(what: "hole at end") }
    leaves.sort { $0.name.lexicographicallyPrecedes($1.name) }
    root = SlowHash.root(leaves.map(\.leaf))
    guard root == trailer.root else { throw Fault(what: "model root") }
  }

  /// Section 2.
  private static func readHead(_ file: [UInt8]) throws {
    guard file.count >= 64 + 64 + 128, file.count % 64 == 0 else { throw Fault(what: "length") }
    let head = Array(file[..<64])
    guard head[..<8] == [0x89, 0x4b, 0x43, 0x46, 0x0d, 0x0a, 0x1a, 0x0a] else {
      throw Fault(what: "mark")
    }
    guard number(head[60..<64]) == UInt64(SlowHash.crc32c(Array(head[..<60]))) else {
      throw Fault(what: "checksum of the head")
    }
    guard number(head[8..<10]) == 1 else { throw Fault(what: "version") }
    guard number(head[12..<16]) == 0 else { throw Fault(what: "features") }
    guard head[20..<24] == [20, 6, 1, 1], head[24..<60].allSatisfy({ $0 == 0 }) else {
      throw Fault(what: "parameters")
    }
  }

  /// The end of section 5.
  struct Trailer {
    let offset, generation, previous, indexByteCount: Int
    let indexDigest, root: [UInt8]

    init(_ file: [UInt8], at offset: Int) throws {
      guard offset >= 128, offset % 64 == 0, offset + 128 <= file.count else {
        throw Fault(what: "place of a trailer")
      }
      let bytes = Array(file[offset..<offset + 128])
      guard bytes[..<8] == Array("KCFEND\r\n".utf8)[...],
        number(bytes[124..<128]) == UInt64(SlowHash.crc32c(Array(bytes[..<124]))),
        number(bytes[8..<16]) == UInt64(offset),
        bytes[40..<48].allSatisfy({ $0 == 0 }), bytes[112..<124].allSatisfy({ $0 == 0 })
      else { throw Fault(what: "trailer") }
      self.offset = offset
      guard let generation = Int(exactly: number(bytes[16..<24])),
        let previous = Int(exactly: number(bytes[24..<32])),
        let indexByteCount = Int(exactly: number(bytes[32..<40]))
      else { throw Fault(what: "numbers of a trailer") }
      let start = previous == 0 ? 64 : previous &+ 128
      guard previous == 0 || (previous >= 64 && previous <= offset - 128), indexByteCount >= 64,
        indexByteCount % 64 == 0, indexByteCount <= min(offset - start, 1 << 30)
      else { throw Fault(what: "numbers of a trailer") }
      self.generation = generation
      self.previous = previous
      self.indexByteCount = indexByteCount
      indexDigest = Array(bytes[48..<80])
      root = Array(bytes[80..<112])
    }
  }
}

/// A little-endian number of up to 8 bytes.
func number(_ bytes: some Collection<UInt8>) -> UInt64 {
  bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
}

/// A number as 8 bytes, the lowest first.
private func bytes8(_ number: Int) -> [UInt8] {
  (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
}
