import Foundation
import KaratKernels
import Testing

/// Vectors of casts by PyTorch: every pattern of each format, and floats of all kinds.
private struct CastVectors {
  private struct Entry: Decodable {
    let data_offsets: [Int]
  }

  private let bytes: Data
  private let entries: [String: Entry]

  init() throws {
    let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "fixtures/arithmetic/casts.safetensors")
    let file = try Data(contentsOf: url)
    let length = file.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    entries = try JSONDecoder().decode([String: Entry].self, from: file[8..<8 + length])
    bytes = file.suffix(from: 8 + length)
  }

  func callAsFunction<Element: BitwiseCopyable>(_ name: String, as: Element.Type) throws
    -> [Element]
  {
    let offsets = try #require(entries[name]).data_offsets
    let part = bytes[bytes.startIndex + offsets[0]..<bytes.startIndex + offsets[1]]
    return part.withUnsafeBytes { raw in
      (0..<raw.count / MemoryLayout<Element>.stride).map {
        raw.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Element>.stride, as: Element.self)
      }
    }
  }
}

extension Kernels {
  @Test(arguments: [
    (CastSource.float16, "f16"), (.bfloat16, "bf16"), (.float8E4M3, "f8_e4m3"),
    (.float8E5M2, "f8_e5m2"),
  ])
  func castsToFloat32(format: CastSource, name: String) throws {
    let expected = try CastVectors()("\(name)_bits_to_f32", as: UInt32.self)
    // One byte off, so that nothing is aligned.
    let patterns: [UInt8] =
      [0]
      + expected.indices.flatMap { pattern in
        (0..<format.byteCount).map { UInt8(truncatingIfNeeded: pattern >> ($0 * 8)) }
      }
    sweep { workers in
      patterns.withUnsafeBytes { raw in
        filled(expected.count, with: Float(7)) { out in
          if let base = raw.baseAddress {
            castToFloat32(base + 1, from: format, count: expected.count, out: out, on: workers)
          }
        }
      }.map(\.bitPattern)
    } check: { level, found in
      let wrong = expected.indices.first { found[$0] != expected[$0] }
      #expect(wrong == nil, "\(level), pattern \(wrong ?? 0)")
    }
  }

  @Test func castsFromUnsignedZeroFormats() {
    // Sign, bias one more than usual, no infinity, and NaN where -0 would be.
    for (format, mantissa, bias) in [
      (CastSource.float8E4M3FNUZ, 3, 8), (.float8E5M2FNUZ, 2, 16),
    ] {
      let patterns = (0...255).map { UInt8($0) }
      sweep { workers in
        filled(256, with: Float(7)) {
          castToFloat32(patterns, from: format, count: 256, out: $0, on: workers)
        }.map(\.bitPattern)
      } check: { level, found in
        for pattern in 0...255 {
          let exponent = (pattern & 0x7f) >> mantissa
          let fraction = Double(pattern & (1 << mantissa - 1)) / Double(1 << mantissa)
          let size =
            exponent == 0
            ? fraction * pow(2, Double(1 - bias))
            : (1 + fraction) * pow(2, Double(exponent - bias))
          let value = Float(pattern >= 128 ? -size : size)
          let found = Float(bitPattern: found[pattern])
          #expect(pattern == 128 ? found.isNaN : found == value, "\(level), \(pattern)")
        }
      }
    }
  }

  @Test(arguments: [
    (CastTarget.float16, "f16"), (.bfloat16, "bf16"), (.float8E4M3, "f8_e4m3"),
    (.float8E5M2, "f8_e5m2"),
  ])
  func castsFromFloat32(format: CastTarget, name: String) throws {
    let vectors = try CastVectors()
    let x = try vectors("f32", as: UInt32.self).map(Float.init(bitPattern:))
    let width = format.source.byteCount
    let expected =
      try width == 2
      ? vectors("f32_to_\(name)", as: UInt16.self)
      : vectors("f32_to_\(name)", as: UInt8.self).map { UInt16($0) }
    sweep { workers in
      let bytes = filled(x.count * width + 1, with: UInt8(7)) {
        castFromFloat32(x, to: format, count: x.count, out: $0 + 1, on: workers)
      }
      return x.indices.map { index in
        (0..<width).reduce(UInt16(0)) { $0 | UInt16(bytes[1 + index * width + $1]) << ($1 * 8) }
      }
    } check: { level, found in
      let wrong = expected.indices.first { found[$0] != expected[$0] }
      #expect(
        wrong == nil,
        "\(level), \(wrong.map { "\(x[$0]): \(found[$0]), \(expected[$0])" } ?? "")"
      )
    }
  }
}
