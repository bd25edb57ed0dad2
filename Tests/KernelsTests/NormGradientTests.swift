import KaratKernels
import Testing

extension Kernels {
  @Test(arguments: [(1, 1), (3, 7), (2, 13)])
  func normGradientsByDifferences(rows: Int, features: Int) {
    var numbers = Numbers(seed: 22)
    let x = numbers.doubles(rows * features, size: 2)
    let (weight, bias) = (numbers.doubles(features), numbers.doubles(features))
    let upstream = numbers.doubles(rows * features)
    func rms(_ x: [Double], _ weight: [Double]) -> Double {
      weightedSum(
        upstream,
        Reference.rmsNorm(x: x, rows: rows, features: features, weight: weight, epsilon: 0.1)
      )
    }
    func layer(_ x: [Double], _ weight: [Double], _ bias: [Double]) -> Double {
      weightedSum(
        upstream,
        Reference.layerNorm(
          x: x,
          rows: rows,
          features: features,
          weight: weight,
          bias: bias,
          epsilon: 0.1
        )
      )
    }
    let byRoot = Reference.rmsNormGradient(
      x: x,
      rows: rows,
      features: features,
      weight: weight,
      epsilon: 0.1,
      gradient: upstream
    )
    checkGradient(of: x, byRoot.x) { rms($0, weight) }
    checkGradient(of: weight, byRoot.weight) { rms(x, $0) }
    let byLayer = Reference.layerNormGradient(
      x: x,
      rows: rows,
      features: features,
      weight: weight,
      epsilon: 0.1,
      gradient: upstream
    )
    checkGradient(of: x, byLayer.x) { layer($0, weight, bias) }
    checkGradient(of: weight, byLayer.weight) { layer(x, $0, bias) }
    checkGradient(of: bias, byLayer.bias) { layer(x, weight, $0) }
  }

  /// The last sizes are several runs of rows, each with a sum of its own.
  @Test(arguments: [(1, 1), (3, 7), (2, 16), (5, 33), (130, 576), (67, 1000)])
  func rootMeanSquareGradients(rows: Int, features: Int) {
    var numbers = Numbers(seed: 23)
    let x = numbers.floats(rows * features, size: 3)
    let weight = numbers.floats(features)
    let gradient = numbers.floats(rows * features)
    let before = (x: numbers.floats(x.count), weight: numbers.floats(features))
    let expected = Reference.rmsNormGradient(
      x: x,
      rows: rows,
      features: features,
      weight: weight,
      epsilon: 1e-5,
      gradient: gradient
    )
    func run(
      _ dx: UnsafeMutablePointer<Float>?,
      _ dw: UnsafeMutablePointer<Float>?,
      _ workers: Workers
    ) {
      rmsNormGradient(
        x: x,
        rows: rows,
        features: features,
        weight: weight,
        epsilon: 1e-5,
        gradient: gradient,
        addToX: dx,
        addToWeight: dw,
        on: workers
      )
    }
    // Both at once, then one alone.
    for isAlone in [false, true] {
      sweep { workers in
        var dw: [Float] = []
        let dx = added(to: before.x) { dx in
          guard !isAlone else { return run(dx, nil, workers) }
          dw = added(to: before.weight) { run(dx, $0, workers) }
        }
        if isAlone { dw = added(to: before.weight) { run(nil, $0, workers) } }
        return dx + dw
      } check: { level, found in
        let (dx, dw) = (Array(found.prefix(x.count)), Array(found.suffix(features)))
        expectClose(dx, sum(before.x, expected.x), tolerance: 2e-6, "\(level), x")
        expectClose(dw, sum(before.weight, expected.weight), tolerance: 2e-6, "\(level)")
      }
    }
  }

  @Test(arguments: [(1, 1), (3, 7), (2, 16), (5, 33), (130, 576), (67, 1000)])
  func layerNormGradients(rows: Int, features: Int) {
    var numbers = Numbers(seed: 24)
    // Away from zero: the mean must be taken away before anything is squared.
    let x = numbers.floats(rows * features, size: 3).map { $0 + 10 }
    let weight = numbers.floats(features)
    let gradient = numbers.floats(rows * features)
    let before = (
      x: numbers.floats(x.count), weight: numbers.floats(features), bias: numbers.floats(features)
    )
    let expected = Reference.layerNormGradient(
      x: x,
      rows: rows,
      features: features,
      weight: weight,
      epsilon: 1e-5,
      gradient: gradient
    )
    func run(
      _ dx: UnsafeMutablePointer<Float>?,
      _ dw: UnsafeMutablePointer<Float>?,
      _ db: UnsafeMutablePointer<Float>?,
      _ workers: Workers
    ) {
      layerNormGradient(
        x: x,
        rows: rows,
        features: features,
        weight: weight,
        epsilon: 1e-5,
        gradient: gradient,
        addToX: dx,
        addToWeight: dw,
        addToBias: db,
        on: workers
      )
    }
    for isAlone in [false, true] {
      sweep { workers in
        var (dw, db): ([Float], [Float]) = ([], [])
        let dx = added(to: before.x) { dx in
          guard !isAlone else { return run(dx, nil, nil, workers) }
          dw = added(to: before.weight) { dw in
            db = added(to: before.bias) { run(dx, dw, $0, workers) }
          }
        }
        if isAlone {
          dw = added(to: before.weight) { run(nil, $0, nil, workers) }
          db = added(to: before.bias) { run(nil, nil, $0, workers) }
        }
        return dx + dw + db
      } check: { level, found in
        let (dx, rest) = (Array(found.prefix(x.count)), Array(found.dropFirst(x.count)))
        let (dw, db) = (Array(rest.prefix(features)), Array(rest.suffix(features)))
        // Floats of 10 are known to 5e-7, their deviations no better.
        expectClose(dx, sum(before.x, expected.x), tolerance: 5e-6, "\(level), x")
        expectClose(dw, sum(before.weight, expected.weight), tolerance: 5e-6, "\(level), weight")
        expectClose(db, sum(before.bias, expected.bias), tolerance: 2e-6, "\(level), bias")
      }
    }
  }
}
