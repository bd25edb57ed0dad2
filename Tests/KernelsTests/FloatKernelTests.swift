import KaratKernels
import Testing

extension Kernels {
  @Test(arguments: [
    (1, 1, 1), (1, 576, 192), (2, 7, 5), (3, 33, 31), (4, 100, 257), (5, 1, 1), (5, 576, 96),
    (12, 64, 32), (13, 321, 97), (17, 700, 129), (513, 65, 33), (1030, 9, 200), (6, 1300, 1),
  ])
  func linearMaps(rows: Int, inFeatures: Int, outFeatures: Int) {
    var numbers = Numbers(seed: UInt64(rows * 1000 + inFeatures))
    let x = numbers.floats(rows * inFeatures)
    let weight = numbers.floats(outFeatures * inFeatures)
    let bias = numbers.floats(outFeatures)
    for bias in [nil, bias] {
      let expected = Reference.linear(
        x: x,
        rows: rows,
        inFeatures: inFeatures,
        weight: weight,
        outFeatures: outFeatures,
        bias: bias
      )
      sweep { workers in
        filled(rows * outFeatures, with: Float(7)) { out in
          func run(_ bias: UnsafePointer<Float>?) {
            linear(
              x: x,
              rows: rows,
              inFeatures: inFeatures,
              weight: weight,
              outFeatures: outFeatures,
              bias: bias,
              out: out,
              on: workers
            )
          }
          if let bias { run(bias) } else { run(nil) }
        }
      } check: { level, found in
        expectClose(found, expected, tolerance: 2e-6, "\(level)")
      }
    }
  }

  @Test(arguments: [(1, 1), (3, 7), (2, 16), (130, 576), (9, 1000)])
  func rootMeanSquareNormalization(rows: Int, features: Int) {
    var numbers = Numbers(seed: 5)
    let x = numbers.floats(rows * features, size: 3)
    let weight = numbers.floats(features)
    sweep { workers in
      filled(x.count, with: Float(7)) { out in
        rmsNorm(
          x: x,
          rows: rows,
          features: features,
          weight: weight,
          epsilon: 1e-5,
          out: out,
          on: workers
        )
      }
    } check: { level, found in
      let expected = Reference.rmsNorm(
        x: x,
        rows: rows,
        features: features,
        weight: weight,
        epsilon: 1e-5
      )
      expectClose(found, expected, tolerance: 1e-6, "\(level)")
    }
  }

  @Test(
    arguments: [
      (1, 1, 1, 2, 0..<2), (2, 5, 3, 6, 0..<6), (3, 70, 9, 64, 0..<64), (1, 2, 1, 80, 0..<80),
      (2, 3, 2, 7, 1..<7), (1, 9, 4, 48, 16..<48), (2, 2, 3, 40, 0..<20),
    ],
    [RotaryPairing.halves, .neighbours]
  )
  func rotaryPositions(sizes: (Int, Int, Int, Int, Range<Int>), pairing: RotaryPairing) {
    let shape = RotaryShape(
      batch: sizes.0,
      length: sizes.1,
      heads: sizes.2,
      headSize: sizes.3,
      rotated: sizes.4,
      pairing: pairing
    )
    var numbers = Numbers(seed: 6)
    let x = numbers.floats(sizes.0 * sizes.1 * sizes.2 * sizes.3)
    let start = 3
    let cosines = numbers.floats((start + shape.length) * shape.rotated.count / 2)
    let sines = numbers.floats((start + shape.length) * shape.rotated.count / 2)
    for inPlace in [true, false] {
      sweep { workers in
        filled(x.count, with: Float(7)) { out in
          x.withUnsafeBufferPointer { x in
            guard let first = x.baseAddress else { return }
            if inPlace { out.update(from: first, count: x.count) }
            rope(
              x: inPlace ? UnsafePointer(out) : first,
              shape: shape,
              cosines: cosines,
              sines: sines,
              start: start,
              out: out,
              on: workers
            )
          }
        }
      } check: { level, found in
        let expected = Reference.rope(
          x: x,
          shape: shape,
          cosines: cosines,
          sines: sines,
          start: start
        )
        expectClose(found, expected, tolerance: 5e-7, "\(level)")
      }
    }
  }

  @Test(arguments: [(1, 1), (3, 7), (2, 16), (130, 576), (9, 1000)])
  func layerNormalization(rows: Int, features: Int) {
    var numbers = Numbers(seed: 15)
    // Far from zero: the mean must be taken away before anything is squared.
    let x = numbers.floats(rows * features, size: 3).map { $0 + 100 }
    let (weight, bias) = (numbers.floats(features), numbers.floats(features))
    sweep { workers in
      filled(x.count, with: Float(7)) { out in
        out.update(from: x, count: x.count)
        layerNorm(
          x: out,
          rows: rows,
          features: features,
          weight: weight,
          bias: bias,
          epsilon: 1e-5,
          out: out,
          on: workers
        )
      }
    } check: { level, found in
      let expected = Reference.layerNorm(
        x: x,
        rows: rows,
        features: features,
        weight: weight,
        bias: bias,
        epsilon: 1e-5
      )
      // Floats of 100 are known to 4e-6, the deviations that are divided by to 1e-6 of that.
      expectClose(found, expected, tolerance: 2e-5, "\(level)")
    }
  }

  @Test(arguments: ActivationKind.allCases, [1, 15, 17, 70_001])
  func activations(kind: ActivationKind, count: Int) {
    var numbers = Numbers(seed: 17)
    for size in [Float(0.01), 4, 30] {
      var x = numbers.floats(count, size: size)
      x[0] = 0
      sweep { workers in
        filled(count, with: Float(7)) { activate(kind, x: x, count: count, out: $0, on: workers) }
      } check: { level, found in
        let expected = Reference.activate(kind, x: x)
        expectClose(found, expected, tolerance: size < 1 ? 1e-5 : 1e-6, "\(level) \(kind)")
      }
    }
    let extremes: [Float] = [.infinity, -1000, 1000, .nan]
    sweep { workers in
      filled(4, with: Float(7)) { activate(kind, x: extremes, count: 4, out: $0, on: workers) }
        .map(\.bitPattern)
    } check: { level, found in
      let found = found.map { Float(bitPattern: $0) }
      #expect(found[0] == (kind == .tanh ? 1 : .infinity), "\(level) \(kind)")
      #expect(found[1] == (kind == .tanh ? -1 : 0), "\(level) \(kind)")
      #expect(found[2] == (kind == .tanh ? 1 : 1000), "\(level) \(kind)")
      #expect(found[3].isNaN, "\(level) \(kind)")
    }
  }

  @Test(arguments: [1, 15, 16, 17, 70_001])
  func elementwise(count: Int) {
    var numbers = Numbers(seed: 7)
    var gate = numbers.floats(count, size: 20)
    let up = numbers.floats(count)
    // Beyond what e^x holds: no NaN.
    gate[0] = -300
    sweep { workers in
      filled(count, with: Float(7)) {
        swiglu(gate: gate, up: up, count: count, out: $0, on: workers)
      }
    } check: { level, found in
      expectClose(found, Reference.swiglu(gate: gate, up: up), tolerance: 1e-6, "\(level)")
    }
    sweep { workers in
      filled(count, with: Float(7)) { add(a: gate, b: up, count: count, out: $0, on: workers) }
    } check: { _, found in
      #expect(found == Reference.add(a: gate, b: up))
    }
  }

  @Test func embedding() {
    var numbers = Numbers(seed: 8)
    let table = numbers.floats(100 * 37)
    let ids = (0..<3000).map { Int32($0 * 7 % 100) }
    sweep { workers in
      filled(ids.count * 37, with: Float(7)) {
        embed(ids: ids, count: ids.count, table: table, features: 37, out: $0, on: workers)
      }
    } check: { _, found in
      #expect(found == Reference.embed(ids: ids, table: table, features: 37))
    }
  }
}
