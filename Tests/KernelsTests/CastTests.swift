import CKernels
import Foundation
import KaratKernels
import KaratTensors
import Testing

extension Kernels {
  @Test(arguments: [
    (CastSource.float16, "f16"), (.bfloat16, "bf16"), (.float8E4M3, "f8_e4m3"),
    (.float8E5M2, "f8_e5m2"),
  ])
  func castsToFloat32(format: CastSource, name: String) throws {
    let expected = try ArithmeticVectors("casts")("\(name)_bits_to_f32", as: UInt32.self)
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
    let vectors = try ArithmeticVectors("casts")
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

  /// Rounding a double to float32 first would double-round ties of the narrower format.
  @Test func castsFromFloat64RoundOnce() {
    var generator = SystemRandomNumberGenerator()
    var numbers: [Double] = [
      0, -0.0, 1, .infinity, -.infinity, 0x1p-149, 0x1p-150, 1e-300, -1e-300,
    ]
    for _ in 0..<20_000 {
      // Ties of BF16 and F16 with a little more or less, far below float32's last bit.
      let code = UInt32.random(in: 0...UInt32.max, using: &generator)
      let tie = Double(Float(bitPattern: code & 0xffff_0000 | 0x8000))
      numbers += [tie, tie.nextUp, tie.nextDown]
      let half = Double(Float16(bitPattern: UInt16(truncatingIfNeeded: code)))
      numbers += [half, half * (1 + 0x1p-12), (half * (1 + 0x1p-12)).nextUp]
    }
    numbers.removeAll(where: \.isNaN)
    let tensor = Tensor(.f64, [numbers.count], copying: numbers)
    for threads in [1, 2] {
      let workers = Workers(threads: threads)
      let floats = tensor.cast(to: .f32, on: workers).tensor.elements(as: Float.self)
      #expect(floats.map(\.bitPattern) == numbers.map { Float($0).bitPattern })
      let halves = tensor.cast(to: .f16, on: workers).tensor.elements(as: UInt16.self)
      #expect(halves == numbers.map { Float16($0).bitPattern })
      let brains = tensor.cast(to: .bf16, on: workers).tensor.elements(as: UInt16.self)
      let wrong = numbers.indices.first { brains[$0] != Self.bfloat16(numbers[$0]) }
      #expect(wrong == nil, "\(wrong.map { numbers[$0] } ?? 0)")
    }
  }

  /// The nearest BF16 of a double, ties to even, found among its two neighbours.
  private static func bfloat16(_ x: Double) -> UInt16 {
    let size = abs(x)
    let sign: UInt16 = x.sign == .minus ? 0x8000 : 0
    func value(_ code: UInt32) -> Double { Double(Float(bitPattern: code << 16)) }
    // The greatest code that is not above.
    var code: UInt32 = 0
    for bit in stride(from: UInt32(14), through: 0, by: -1) where code | 1 << bit <= 0x7f80 {
      if value(code | 1 << bit) <= size { code |= 1 << bit }
    }
    guard code < 0x7f80 else { return sign | 0x7f80 }
    // Beyond the greatest number, the next step would be 2^128.
    let above = code == 0x7f7f ? 0x1p128 : value(code + 1)
    let (down, up) = (size - value(code), above - size)
    let isUp = up < down || up == down && code & 1 == 1
    return sign | UInt16(code + (isUp ? 1 : 0))
  }

  @Test func scalesBlocksOfColumns() {
    let scales: [Float] = [2, 3, 5, 7]
    for (first, count, block) in [(0, 14, 4), (3, 9, 4), (5, 1, 4), (0, 3, 1), (2, 0, 4)] {
      sweep { _ in
        filled(max(count, 1), with: Float(1)) {
          karat_active().pointee.scale_blocks($0, first, count, scales, block)
        }
      } check: { level, found in
        let expected = (0..<count).map { scales[(first + $0) / block] }
        #expect(Array(found.prefix(count)) == expected, "\(level), \(first), \(count)")
      }
    }
  }
}
