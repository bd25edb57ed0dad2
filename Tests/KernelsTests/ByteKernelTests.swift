import CKernels
import Testing

/// Checksums, planes and exclusive or, on every instruction set, against the obvious version.
@Suite struct ByteKernelTests {
  @Test(arguments: instructionSets)
  func checksumsAreThoseOfTheDefinition(level: karat_instruction_set) {
    let kernels = karat_kernels_for(level).pointee
    var numbers = Numbers(seed: 1)
    let bytes = numbers.bytes(80_000)
    // Around words, and around three lanes of 8192 bytes once and twice.
    for count in Array(0...70) + [24_575, 24_576, 24_577, 49_151, 49_152, 60_003, 79_990] {
      for start in [0, 1, 7] {
        let part = bytes[start..<start + count]
        let expected = checksum(part)
        let found = part.withUnsafeBytes { part in
          part.baseAddress.map { kernels.crc32c(0, $0, count) } ?? 0
        }
        #expect(found == expected, "\(count) bytes from \(start)")
      }
    }
  }

  @Test(arguments: instructionSets)
  func checksumsGoOn(level: karat_instruction_set) {
    let kernels = karat_kernels_for(level).pointee
    var numbers = Numbers(seed: 2)
    let bytes = numbers.bytes(60_000)
    bytes.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress else { return }
      let whole = kernels.crc32c(0, base, bytes.count)
      for cut in [0, 1, 8, 1000, 24_576, 30_001, 60_000] {
        let first = kernels.crc32c(0, base, cut)
        #expect(kernels.crc32c(first, base + cut, bytes.count - cut) == whole)
      }
    }
  }

  @Test(arguments: instructionSets)
  func planesAreThoseOfTheDefinition(level: karat_instruction_set) {
    let kernels = karat_kernels_for(level).pointee
    var numbers = Numbers(seed: 3)
    for width in [1, 2, 4, 8] {
      for isRotated in [false, true] {
        for count in [2, 4, 6, 30, 62, 64, 66, 126, 128, 130, 1002, 4098] {
          // Begins at an odd address.
          let bytes = Array(numbers.bytes(count * width + 1).dropFirst())
          let expected = split(bytes, width: width, isRotated: isRotated)
          let planes = filled(bytes.count, with: 0xa5 as UInt8) { out in
            bytes.withUnsafeBytes { bytes in
              guard let base = bytes.baseAddress else { return }
              kernels.split_planes(base, count, width, isRotated, out)
            }
          }
          #expect(planes == expected, "width \(width), \(count) elements, rotated: \(isRotated)")
          let merged = filled(bytes.count, with: 0xa5 as UInt8) { out in
            planes.withUnsafeBufferPointer { planes in
              guard let base = planes.baseAddress else { return }
              let size = bytes.count / max(width, 2)
              let pointers = (0..<max(width, 2)).map { base + $0 * size }
              kernels.merge_planes(pointers, count, width, isRotated, out)
            }
          }
          #expect(merged == bytes, "width \(width), \(count) elements, rotated: \(isRotated)")
        }
      }
    }
  }

  @Test(arguments: instructionSets)
  func exclusiveOrIsItsOwnInverse(level: karat_instruction_set) {
    let kernels = karat_kernels_for(level).pointee
    var numbers = Numbers(seed: 4)
    for count in [1, 15, 63, 64, 65, 1001] {
      let left = numbers.bytes(count)
      let right = numbers.bytes(count)
      let found = filled(count, with: 0xa5 as UInt8) {
        kernels.exclusive_or(left, right, count, $0)
      }
      #expect(found == zip(left, right).map { $0 ^ $1 })
      var inPlace = found
      inPlace.withUnsafeMutableBytes { bytes in
        guard let base = bytes.baseAddress else { return }
        kernels.exclusive_or(base, right, count, base)
      }
      #expect(inPlace == left)
    }
  }

  @Test func repetitionsAreFound() {
    func period(_ bytes: [UInt8]) -> Int { karat_repeated_bytes(bytes, bytes.count) }
    #expect(period([7]) == 1)
    #expect(period([UInt8](repeating: 7, count: 1000)) == 1)
    #expect(period([UInt8](repeating: 7, count: 999) + [8]) == 0)
    #expect(period([1, 2]) == 2)
    #expect(period([1, 2, 1]) == 0)
    #expect(period([0x80, 0x3f, 0x80, 0x3f, 0x80, 0x3f]) == 2)
    #expect(period([0, 0, 0x80, 0x3f, 0, 0, 0x80, 0x3f]) == 4)
    #expect(period(Array(0..<8) + Array(0..<8)) == 8)
    #expect(period(Array(0..<16) + Array(0..<16)) == 0)
  }
}

/// The instruction sets of this machine.
private let instructionSets = [KARAT_BASELINE, KARAT_AVX2, KARAT_AVX512].filter {
  $0.rawValue <= karat_detected_instruction_set().rawValue
}

/// CRC-32C bit by bit.
private func checksum(_ bytes: some Sequence<UInt8>) -> UInt32 {
  var value: UInt32 = .max
  for byte in bytes {
    value ^= UInt32(byte)
    for _ in 0..<8 { value = value & 1 == 1 ? value >> 1 ^ 0x82F6_3B78 : value >> 1 }
  }
  return ~value
}

/// Planes byte by byte, through a list of the elements' bits.
private func split(_ bytes: [UInt8], width: Int, isRotated: Bool) -> [UInt8] {
  let elements = stride(from: 0, to: bytes.count, by: width).map { start in
    let bits = bytes[start..<start + width].flatMap { byte in (0..<8).map { byte >> $0 & 1 } }
    // The highest bit becomes the lowest.
    return isRotated ? [bits[bits.count - 1]] + bits.dropLast() : bits
  }
  if width == 1 {
    return [0..<4, 4..<8].flatMap { half in
      stride(from: 0, to: elements.count, by: 2).map { index in
        byte(Array(elements[index][half] + elements[index + 1][half]))
      }
    }
  }
  return (0..<width).flatMap { plane in
    elements.map { byte(Array($0[8 * plane..<8 * plane + 8])) }
  }
}

private func byte(_ bits: [UInt8]) -> UInt8 {
  bits.reversed().reduce(0) { $0 << 1 | $1 }
}
