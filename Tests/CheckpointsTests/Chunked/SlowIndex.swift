/// An index, read as section 5 of `formats/kcf.md` says.
struct SlowIndex {
  struct Tensor {
    let name: [UInt8]
    let type: String
    let extents: [UInt64]
    let byteCount: UInt64
  }

  private(set) var entries: [ArraySlice<UInt8>] = []
  private(set) var tensors: [Tensor] = []
  private(set) var attachments: [(name: String, byteCount: UInt64, digest: [UInt8])] = []
  private(set) var metadata: [(key: String, value: String)] = []
  private(set) var base: (root: [UInt8], path: String, depth: Int)?

  private var left: ArraySlice<UInt8>

  init(_ file: [UInt8], _ trailer: SlowReader.Trailer) throws {
    let bytes = Array(file[trailer.offset - trailer.indexByteCount..<trailer.offset])
    guard SlowHash.sha256(bytes) == trailer.indexDigest else { throw fault("index digest") }
    left = bytes[...]
    guard try take(8) == Array("KCFINDEX".utf8) else { throw fault("index mark") }
    guard try takeNumber(8) == UInt64(trailer.generation) else { throw fault("index generation") }
    let counts = (try takeNumber(4), try takeNumber(4), try takeNumber(4), try takeNumber(4))
    guard counts.0 <= 1 << 24, counts.1 <= 1 << 16, counts.2 <= 1 << 20, counts.3 <= 4 else {
      throw fault("counts")
    }
    let (entryCount, textCount) = (try takeNumber(8), try takeNumber(8))
    guard try take(16).allSatisfy({ $0 == 0 }) else { throw fault("reserved") }
    guard entryCount <= left.count / 64 else { throw fault("entries") }
    for _ in 0..<entryCount {
      entries.append(try take(64)[...])
    }
    let before = left.count
    for _ in 0..<counts.0 { tensors.append(try takeTensor()) }
    guard Set(tensors.map(\.name)).count == tensors.count else { throw fault("same names") }
    for _ in 0..<counts.1 { try takeAttachment() }
    for _ in 0..<counts.2 {
      let (keyCount, valueCount) = (try takeNumber(4), try takeNumber(4))
      let key = try takeText(keyCount)
      if let last = metadata.last?.key, !last.utf8.lexicographicallyPrecedes(key.utf8) {
        throw fault("order of keys")
      }
      metadata.append((key, try takeText(valueCount)))
    }
    if counts.3 > 0 {
      let root = try take(32)
      let count = try takeNumber(4)
      guard try takeNumber(4) == 0 else { throw fault("reserved") }
      let path = try takeText(count)
      let parts = path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        .map { String($0) ?? "" }
      guard path.utf8.count <= 4096, !path.utf8.contains(0), !parts.contains(""),
        !parts.contains("."), !parts.drop(while: { $0 == ".." }).contains("..")
      else { throw fault("path of the base") }
      base = (root, path, Int(counts.3))
    }
    guard UInt64(before - left.count) == textCount, left.count < 64,
      left.allSatisfy({ $0 == 0 })
    else { throw fault("texts") }
  }

  private mutating func takeTensor() throws -> Tensor {
    let (type, rank, nameCount) = (try takeNumber(2), try takeNumber(2), try takeNumber(4))
    guard rank <= 32, nameCount <= 65_535 else { throw fault("tensor") }
    var extents: [UInt64] = []
    var count: UInt64 = 1
    for _ in 0..<rank {
      let extent = try takeNumber(8)
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      guard extent < 1 << 63, !overflow, product < 1 << 63 else { throw fault("extents") }
      extents.append(extent)
      count = product
    }
    let name = try takeText(nameCount)
    guard !name.utf8.contains(0) else { throw fault("name") }
    guard let (spelled, elements, bytes) = Self.types[type] else { throw fault("type") }
    guard count % elements == 0 else { throw fault("blocks") }
    let (byteCount, overflow) = (count / elements).multipliedReportingOverflow(by: bytes)
    guard !overflow, byteCount < 1 << 63 else { throw fault("bytes") }
    return Tensor(name: Array(name.utf8), type: spelled, extents: extents, byteCount: byteCount)
  }

  private mutating func takeAttachment() throws {
    let (byteCount, nameCount) = (try takeNumber(8), try takeNumber(4))
    guard try takeNumber(4) == 0, byteCount <= 1 << 30 else { throw fault("attachment") }
    let digest = try take(32)
    let name = try takeText(nameCount)
    let parts = name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
      .map { String($0) ?? "" }
    guard name.utf8.count <= 1024, !name.utf8.contains(0), !name.utf8.contains(0x5c),
      !parts.contains(where: { ["", ".", ".."].contains($0) })
    else { throw fault("attachment's name") }
    for earlier in attachments where name.utf8.starts(with: (earlier.name + "/").utf8) {
      throw fault("folder")
    }
    if let last = attachments.last?.name, !last.utf8.lexicographicallyPrecedes(name.utf8) {
      throw fault("order of attachments")
    }
    attachments.append((name, byteCount, digest))
  }

  private mutating func take(_ count: Int) throws -> [UInt8] {
    guard count <= left.count else { throw fault("index ends") }
    defer { left = left.dropFirst(count) }
    return Array(left.prefix(count))
  }

  private mutating func takeNumber(_ count: Int) throws -> UInt64 { number(try take(count)) }

  private mutating func takeText(_ count: UInt64) throws -> String {
    guard let text = String(validating: try take(Int(count)), as: UTF8.self) else {
      throw fault("UTF-8")
    }
    return text
  }

  /// Name, elements and bytes of a block.
  private static let types: [UInt64: (String, UInt64, UInt64)] = [
    1: ("BOOL", 1, 1), 2: ("F4", 2, 1), 3: ("F6_E2M3", 4, 3), 4: ("F6_E3M2", 4, 3),
    5: ("U8", 1, 1), 6: ("I8", 1, 1), 7: ("F8_E5M2", 1, 1), 8: ("F8_E4M3", 1, 1),
    9: ("F8_E8M0", 1, 1), 10: ("F8_E4M3FNUZ", 1, 1), 11: ("F8_E5M2FNUZ", 1, 1), 12: ("I16", 1, 2),
    13: ("U16", 1, 2), 14: ("F16", 1, 2), 15: ("BF16", 1, 2), 16: ("I32", 1, 4), 17: ("U32", 1, 4),
    18: ("F32", 1, 4), 19: ("C64", 1, 8), 20: ("F64", 1, 8), 21: ("I64", 1, 8), 22: ("U64", 1, 8),
    258: ("Q4_0", 32, 18), 259: ("Q4_1", 32, 20), 262: ("Q5_0", 32, 22), 263: ("Q5_1", 32, 24),
    264: ("Q8_0", 32, 34), 266: ("Q2_K", 256, 84), 267: ("Q3_K", 256, 110), 268: ("Q4_K", 256, 144),
    269: ("Q5_K", 256, 176), 270: ("Q6_K", 256, 210), 272: ("IQ2_XXS", 256, 66),
    273: ("IQ2_XS", 256, 74), 274: ("IQ3_XXS", 256, 98), 275: ("IQ1_S", 256, 50),
    276: ("IQ4_NL", 32, 18), 277: ("IQ3_S", 256, 110), 278: ("IQ2_S", 256, 82),
    279: ("IQ4_XS", 256, 136), 285: ("IQ1_M", 256, 56), 290: ("TQ1_0", 256, 54),
    291: ("TQ2_0", 256, 66), 295: ("MXFP4", 32, 17), 296: ("NVFP4", 64, 36),
  ]
}

private func fault(_ what: String) -> SlowReader.Fault { SlowReader.Fault(what: what) }
