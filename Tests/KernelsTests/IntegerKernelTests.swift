import CKernels
import KaratKernels
import Testing

extension Kernels {
  @Test(arguments: [
    (1, 1, 1), (1, 3, 33), (1, 576, 200), (2, 4, 32), (3, 5, 31), (5, 63, 65), (13, 577, 97),
    (12, 64, 32), (29, 130, 70), (700, 20, 40), (3, 20_000, 5), (7, 767, 33), (6, 769, 31),
    (11, 1538, 290),
  ])
  func integerProducts(rows: Int, inFeatures: Int, outFeatures: Int) {
    var numbers = Numbers(seed: UInt64(inFeatures))
    let extremes: [(x: [UInt8], codes: [Int8])] = [
      (numbers.bytes(rows * inFeatures), numbers.codes(outFeatures * inFeatures)),
      (
        [UInt8](repeating: 255, count: rows * inFeatures),
        [Int8](repeating: -128, count: outFeatures * inFeatures)
      ),
      (
        [UInt8](repeating: 255, count: rows * inFeatures),
        [Int8](repeating: 127, count: outFeatures * inFeatures)
      ),
      (
        (0..<rows * inFeatures).map { $0 % 3 == 0 ? 255 : 0 },
        (0..<outFeatures * inFeatures).map { $0 % 2 == 0 ? 127 : -128 }
      ),
    ]
    for (x, codes) in extremes {
      checkIntegerProduct(
        x: x,
        codes: codes,
        rows: rows,
        inFeatures: inFeatures,
        outFeatures: outFeatures
      )
    }
  }

  /// Every height of a tile of rows and what is left beside it, with inputs and outputs that fill
  /// neither a group nor a panel.
  @Test(arguments: 1...13)
  func integerProductsOfFewInputs(rows: Int) {
    var numbers = Numbers(seed: UInt64(rows))
    for inFeatures in [1, 2, 3, 5, 577] {
      for outFeatures in [7, 45] {
        checkIntegerProduct(
          x: numbers.bytes(rows * inFeatures),
          codes: numbers.codes(outFeatures * inFeatures),
          rows: rows,
          inFeatures: inFeatures,
          outFeatures: outFeatures
        )
      }
    }
  }

  private func checkIntegerProduct(
    x: [UInt8],
    codes: [Int8],
    rows: Int,
    inFeatures: Int,
    outFeatures: Int
  ) {
    var numbers = Numbers(seed: 9)
    let weightScales = numbers.floats(outFeatures)
    let bias = numbers.floats(outFeatures)
    let sums = Reference.integerAccumulate(
      x: x,
      rows: rows,
      codes: codes,
      outFeatures: outFeatures,
      inFeatures: inFeatures
    )
    sweep { workers in
      let weight = PackedInt8Weight(
        codes: codes,
        outFeatures: outFeatures,
        inFeatures: inFeatures,
        on: workers
      )
      return filled(sums.count, with: Int32(7)) {
        integerAccumulate(x: x, rows: rows, weight: weight, out: $0, on: workers)
      }
    } check: { level, found in
      #expect(found == sums, "\(level)")
    }
    let perRow = numbers.floats(rows)
    let cases: [(UInt8, [Float]?, [Float])] = [
      (0, nil, [0.37]), (255, bias, [0.37]), (131, bias, [0.37]), (128, bias, perRow),
    ]
    for (zeroPoint, bias, scales) in cases {
      let expected = Reference.integerLinear(
        x: x,
        rows: rows,
        codes: codes,
        outFeatures: outFeatures,
        inFeatures: inFeatures,
        scales: scales,
        zeroPoint: zeroPoint,
        weightScales: weightScales,
        bias: bias
      )
      sweep { workers in
        let weight = PackedInt8Weight(
          codes: codes,
          outFeatures: outFeatures,
          inFeatures: inFeatures,
          on: workers
        )
        return filled(expected.count, with: Float(7)) { out in
          func run(_ bias: UnsafePointer<Float>?) {
            integerLinear(
              x: x,
              rows: rows,
              weight: weight,
              scales: scales,
              isPerRow: scales.count > 1 || rows == 1,
              zeroPoint: zeroPoint,
              weightScales: weightScales,
              bias: bias,
              out: out,
              on: workers
            )
          }
          if let bias { run(bias) } else { run(nil) }
        }
      } check: { level, found in
        #expect(found == expected, "\(level), zero point \(zeroPoint)")
      }
    }
  }

  @Test func packedWeight() {
    let codes: [Int8] = [-128, -128, 127, 1, 2, 3]
    let weight = PackedInt8Weight(
      codes: codes,
      outFeatures: 2,
      inFeatures: 3,
      on: Workers(threads: 1)
    )
    #expect(weight.rowSums == [-129, 6])
    #expect(weight.byteCount == 32 * 4 + 2 * 4)
    let limit = PackedInt8Weight.maximumInnerSize
    #expect(limit * 255 * 128 <= Int(Int32.max) && (limit + 1) * 255 * 128 > Int(Int32.max))
  }

  /// Byte by byte, for whole and partial groups of inputs and fours of outputs.
  @Test(arguments: 1...32)
  func panels(outFeatures: Int) {
    var numbers = Numbers(seed: UInt64(outFeatures))
    for inFeatures in [1, 3, 4, 15, 16, 17, 35, 600] {
      for lowest in [false, true] {
        let codes =
          lowest
          ? [Int8](repeating: -128, count: outFeatures * inFeatures)
          : numbers.codes(outFeatures * inFeatures)
        var sums = [Int32](repeating: 7, count: outFeatures)
        let size = (inFeatures + 3) / 4 * 4 * 32
        let panel = filled(size, with: Int8(9)) {
          karat_pack_panel(codes, outFeatures, inFeatures, $0, &sums)
        }
        var expected = [Int8](repeating: 0, count: size)
        for output in 0..<outFeatures {
          for input in 0..<inFeatures {
            expected[input / 4 * 128 + output * 4 + input % 4] = codes[output * inFeatures + input]
          }
          let row = codes[output * inFeatures..<(output + 1) * inFeatures]
          #expect(sums[output] == row.reduce(0) { $0 + Int32($1) }, "\(inFeatures) inputs")
        }
        #expect(panel == expected, "\(inFeatures) inputs")
      }
    }
  }

  @Test(arguments: [UInt8(0), 128, 255])
  func quantizesActivations(zeroPoint: UInt8) {
    var numbers = Numbers(seed: 10)
    let special: [Float] = [
      .nan, .infinity, -.infinity, 0, -0.0, 0.25, 0.75, -0.25, -0.75, 1e30, -1e30, 1e-30,
      .greatestFiniteMagnitude, .leastNonzeroMagnitude, 63.75, -63.75,
    ]
    let halves = (-600...600).map { Float($0) * 0.25 }
    let x = special + halves + numbers.floats(70_001, size: 100)
    for scale: Float in [0.5, 0.3, 1e-38, 1e30] {
      sweep { workers in
        filled(x.count, with: UInt8(7)) {
          quantize(
            x: x,
            count: x.count,
            scale: scale,
            zeroPoint: zeroPoint,
            out: $0,
            on: workers
          )
        }
      } check: { level, found in
        #expect(
          found == Reference.quantize(x: x, scale: scale, zeroPoint: zeroPoint),
          "\(level)"
        )
      }
    }
  }

  @Test(arguments: [(1, 1), (5, 3), (7, 1000), (200, 257)])
  func quantizesTokens(rows: Int, columns: Int) {
    var numbers = Numbers(seed: 12)
    var x = numbers.floats(rows * columns, size: 40)
    // Rows of zeros, of the least numbers there are, and of ones that no scale can represent.
    let special: [Float] = [0, .leastNonzeroMagnitude, 3e38, .nan, -.infinity]
    for (row, number) in special.enumerated() where row + 1 < rows {
      if number.isFinite { for column in 0..<columns { x[(row + 1) * columns + column] = number } }
      x[(row + 1) * columns + columns / 2] = number
    }
    let expected = Reference.quantizeTokens(x: x, columns: columns)
    func bits(_ scales: [Float]) -> [UInt32] { scales.map { $0.isNaN ? 0 : $0.bitPattern } }
    sweep { workers in
      var scales = [Float](repeating: 7, count: rows)
      let codes = filled(x.count, with: UInt8(7)) { out in
        scales.withUnsafeMutableBufferPointer { scales in
          guard let scales = scales.baseAddress else { return }
          quantizeTokens(
            x: x,
            rows: rows,
            columns: columns,
            out: out,
            scales: scales,
            on: workers
          )
        }
      }
      return bits(scales).map(Int.init) + codes.map(Int.init)
    } check: { level, found in
      #expect(
        found == bits(expected.scales).map(Int.init) + expected.codes.map(Int.init),
        "\(level)"
      )
    }
    #expect(expected.scales.allSatisfy { $0.isNaN || ($0 > 0 && $0.isFinite) })
    let back = filled(x.count, with: Float(9)) { out in
      dequantize(
        codes: expected.codes,
        rows: rows,
        columns: columns,
        scales: expected.scales,
        isPerRow: true,
        zeroPoint: 128,
        out: out,
        on: Workers(threads: 2)
      )
    }
    for (index, number) in x.enumerated() {
      let scale = expected.scales[index / columns]
      #expect(scale.isNaN ? back[index].isNaN : abs(back[index] - number) <= scale / 2 * 1.0001)
    }
  }

  @Test(arguments: [UInt8(0), 131, 255])
  func dequantizesActivations(zeroPoint: UInt8) {
    var numbers = Numbers(seed: 13)
    for (rows, columns) in [(1, 1), (5, 3), (7, 1000), (200, 257)] {
      let codes = numbers.bytes(rows * columns)
      for scales in [numbers.floats(1), numbers.floats(rows)] {
        let isPerRow = scales.count == rows
        let expected = Reference.dequantize(
          codes: codes,
          columns: columns,
          scales: scales,
          zeroPoint: zeroPoint
        )
        sweep { workers in
          filled(codes.count, with: Float(9)) {
            dequantize(
              codes: codes,
              rows: rows,
              columns: columns,
              scales: scales,
              isPerRow: isPerRow,
              zeroPoint: zeroPoint,
              out: $0,
              on: workers
            )
          }
          .map(\.bitPattern)
        } check: { level, found in
          #expect(found == expected.map(\.bitPattern), "\(level), \(rows) rows")
        }
      }
    }
  }

  @Test(arguments: [(1, 1), (5, 3), (7, 1000), (200, 257)])
  func quantizesWeights(rows: Int, columns: Int) {
    var numbers = Numbers(seed: 11)
    var weight = numbers.floats(rows * columns)
    weight[0] = .nan
    let scales = (0..<rows).map { $0 == 1 ? 0 : Float($0 + 1) / 150 }
    for limit: Float in [127, 7] {
      let codes = Reference.quantizeRows(
        weight: weight,
        columns: columns,
        scales: scales,
        limit: limit
      )
      sweep { workers in
        filled(weight.count, with: Int8(9)) {
          quantizeRows(
            weight: weight,
            rows: rows,
            columns: columns,
            scales: scales,
            limit: limit,
            out: $0,
            on: workers
          )
        }
      } check: { level, found in
        #expect(found == codes, "\(level)")
      }
      sweep { workers in
        filled(weight.count, with: Float(9)) {
          dequantizeRows(
            codes: codes,
            rows: rows,
            columns: columns,
            scales: scales,
            out: $0,
            on: workers
          )
        }
      } check: { level, found in
        #expect(
          found == Reference.dequantizeRows(codes: codes, columns: columns, scales: scales),
          "\(level)"
        )
      }
    }
  }
}
