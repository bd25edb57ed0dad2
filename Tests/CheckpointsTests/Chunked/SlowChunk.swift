import KaratBytes

/// One chunk, read as sections 3, 4 and 7 of `formats/kcf.md` say.
struct SlowChunk {
  let content: [UInt8]
  let digest: [UInt8]
  let recordByteCount: Int

  init(
    _ file: [UInt8],
    _ offset: Int,
    _ entry: ArraySlice<UInt8>,
    _ baseTensors: [[UInt8]]
  ) throws {
    let entry = Array(entry)
    let stored = Int(number(entry[8..<12]))
    let size = Int(number(entry[12..<16]))
    guard size >= 1, size <= 1 << 20, stored >= 1, stored <= size else { throw fault("lengths") }
    recordByteCount = (64 + stored + 63) / 64 * 64
    guard offset >= 64, offset % 64 == 0, offset <= file.count - recordByteCount else {
      throw fault("place of a record")
    }
    let record = Array(file[offset..<offset + recordByteCount])
    guard record[..<4] == Array("KCHK".utf8)[...], record[8..<64] == entry[8..<64] else {
      throw fault("header")
    }
    let end = 64 + stored
    guard number(record[4..<8]) == UInt64(SlowHash.crc32c(Array(record[8..<end]))) else {
      throw fault("checksum")
    }
    guard record[end...].allSatisfy({ $0 == 0 }), number(entry[28..<32]) == 0 else {
      throw fault("padding")
    }
    var chunk = try Self.decode(
      Array(record[64..<end]),
      size,
      codec: number(entry[16..<18]),
      filter: number(entry[18..<20])
    )
    let (tensor, place) = (number(entry[20..<24]), Int(number(entry[24..<28])) << 20)
    if tensor != 0xffff_ffff {
      guard tensor < baseTensors.count, place + size <= baseTensors[Int(tensor)].count else {
        throw fault("base")
      }
      for byte in 0..<size { chunk[byte] ^= baseTensors[Int(tensor)][place + byte] }
    } else if place != 0 {
      throw fault("base chunk")
    }
    content = chunk
    digest = SlowHash.leaf(chunk)
    guard digest == Array(entry[32..<64]) else { throw fault("digest") }
  }

  private static func decode(
    _ stored: [UInt8],
    _ size: Int,
    codec: UInt64,
    filter: UInt64
  ) throws -> [UInt8] {
    switch (codec, filter) {
    case (0, 0):
      guard stored.count == size else { throw fault("raw") }
      return stored
    case (1, 0):
      guard [1, 2, 4, 8].contains(stored.count), size % stored.count == 0 else {
        throw fault("fill")
      }
      return (0..<size).map { stored[$0 % stored.count] }
    case (2, 0): return try frame(stored, size)
    case (3, 1...8): return try merge(stored, size, Int(filter))
    default: throw fault("codec and filter")
    }
  }

  private static func merge(_ stored: [UInt8], _ size: Int, _ filter: Int) throws -> [UInt8] {
    let width = [1: 2, 2: 4, 3: 8, 4: 2, 5: 4, 6: 8, 7: 1, 8: 1][filter] ?? 1
    let isRotated = [4, 5, 6, 7].contains(filter)
    let count = max(width, 2)
    guard size % count == 0, stored.count >= 4 * count else { throw fault("planes") }
    var planes: [[UInt8]] = []
    var place = 4 * count
    for plane in 0..<count {
      let length = Int(number(stored[4 * plane..<4 * plane + 4]))
      guard length >= 1, length <= size / count, place + length <= stored.count else {
        throw fault("plane")
      }
      let bytes = Array(stored[place..<place + length])
      planes.append(length == size / count ? bytes : try frame(bytes, size / count))
      place += length
    }
    guard place == stored.count else { throw fault("planes' lengths") }
    var chunk: [UInt8] = []
    if width == 1 {
      for index in 0..<size {
        let shift = index % 2 * 4
        let low = planes[0][index / 2] >> shift & 15
        let high = planes[1][index / 2] >> shift & 15
        let byte = high << 4 | low
        chunk.append(isRotated ? byte >> 1 | byte << 7 : byte)
      }
      return chunk
    }
    for index in 0..<size / width {
      var bits: UInt64 = 0
      for byte in 0..<width { bits |= UInt64(planes[byte][index]) << (8 * byte) }
      if isRotated { bits = bits >> 1 | (bits & 1) << (8 * width - 1) }
      for byte in 0..<width { chunk.append(UInt8(truncatingIfNeeded: bits >> (8 * byte))) }
    }
    return chunk
  }

  private static func frame(_ stored: [UInt8], _ size: Int) throws -> [UInt8] {
    var content = [UInt8](repeating: 0, count: size)
    try stored.withUnsafeBytes { stored in
      try content.withUnsafeMutableBytes { try Zstandard.decompress(stored, into: $0) }
    }
    return content
  }
}

private func fault(_ what: String) -> SlowReader.Fault { SlowReader.Fault(what: what) }
