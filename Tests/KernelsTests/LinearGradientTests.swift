import KaratKernels
import Testing

extension Kernels {
  @Test(arguments: [(1, 1, 1), (3, 5, 7), (2, 11, 3)])
  func linearGradientsByDifferences(rows: Int, inFeatures: Int, outFeatures: Int) {
    var numbers = Numbers(seed: 20)
    let x = numbers.doubles(rows * inFeatures)
    let weight = numbers.doubles(outFeatures * inFeatures)
    let bias = numbers.doubles(outFeatures)
    let upstream = numbers.doubles(rows * outFeatures)
    func result(_ x: [Double], _ weight: [Double], _ bias: [Double]) -> Double {
      weightedSum(
        upstream,
        Reference.linear(
          x: x,
          rows: rows,
          inFeatures: inFeatures,
          weight: weight,
          outFeatures: outFeatures,
          bias: bias
        )
      )
    }
    let gradient = Reference.linearGradient(
      x: x,
      rows: rows,
      inFeatures: inFeatures,
      weight: weight,
      outFeatures: outFeatures,
      gradient: upstream
    )
    checkGradient(of: x, gradient.x) { result($0, weight, bias) }
    checkGradient(of: weight, gradient.weight) { result(x, $0, bias) }
    checkGradient(of: bias, gradient.bias) { result(x, weight, $0) }
  }

  /// The last sizes are cut into several blocks.
  @Test(arguments: [
    (1, 1, 1), (3, 5, 7), (6, 16, 12), (13, 33, 17), (64, 97, 389), (5, 1601, 20), (600, 9, 580),
  ])
  func linearGradients(rows: Int, inFeatures: Int, outFeatures: Int) {
    var numbers = Numbers(seed: 21)
    let x = numbers.floats(rows * inFeatures)
    let weight = numbers.floats(outFeatures * inFeatures)
    let gradient = numbers.floats(rows * outFeatures)
    let before = (
      x: numbers.floats(x.count), weight: numbers.floats(weight.count),
      bias: numbers.floats(outFeatures)
    )
    let expected = Reference.linearGradient(
      x: x,
      rows: rows,
      inFeatures: inFeatures,
      weight: weight,
      outFeatures: outFeatures,
      gradient: gradient
    )
    sweep { workers in
      added(to: before.x) {
        linearInputGradient(
          gradient: gradient,
          rows: rows,
          inFeatures: inFeatures,
          weight: weight,
          outFeatures: outFeatures,
          addTo: $0,
          on: workers
        )
      }
    } check: { level, found in
      expectClose(found, sum(before.x, expected.x), tolerance: 2e-6, "\(level), input")
    }
    sweep { workers in
      added(to: before.weight) {
        linearWeightGradient(
          x: x,
          gradient: gradient,
          rows: rows,
          inFeatures: inFeatures,
          outFeatures: outFeatures,
          addTo: $0,
          on: workers
        )
      }
    } check: { level, found in
      expectClose(found, sum(before.weight, expected.weight), tolerance: 2e-6, "\(level), weight")
    }
    sweep { workers in
      added(to: before.bias) {
        addColumnSums(of: gradient, rows: rows, features: outFeatures, addTo: $0, on: workers)
      }
    } check: { level, found in
      expectClose(found, sum(before.bias, expected.bias), tolerance: 2e-6, "\(level), bias")
    }
  }

  @Test func productsOfNoRowsAddNothing() {
    let before: [Float] = [1, 2, 3]
    sweep { workers in
      added(to: before) {
        linearWeightGradient(
          x: before,
          gradient: before,
          rows: 0,
          inFeatures: 3,
          outFeatures: 1,
          addTo: $0,
          on: workers
        )
      }
    } check: { level, found in
      #expect(found == before, "\(level)")
    }
  }
}
