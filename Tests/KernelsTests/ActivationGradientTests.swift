import KaratKernels
import Testing

extension Kernels {
  @Test(arguments: ActivationKind.allCases)
  func activationGradientsByDifferences(kind: ActivationKind) {
    var numbers = Numbers(seed: 25)
    // None within reach of the kink of max(x, 0).
    let x = numbers.doubles(41, size: 4).map { $0 + ($0 < 0 ? -0.01 : 0.01) }
    let upstream = numbers.doubles(41)
    let gradient = Reference.activationGradient(kind, x: x, gradient: upstream)
    checkGradient(of: x, gradient) { weightedSum(upstream, Reference.activate(kind, x: $0)) }
  }

  @Test func swigluGradientsByDifferences() {
    var numbers = Numbers(seed: 26)
    let (gate, up) = (numbers.doubles(29, size: 5), numbers.doubles(29))
    let upstream = numbers.doubles(29)
    let gradient = Reference.swigluGradient(gate: gate, up: up, gradient: upstream)
    checkGradient(of: gate, gradient.gate) {
      weightedSum(upstream, Reference.swiglu(gate: $0, up: up))
    }
    checkGradient(of: up, gradient.up) {
      weightedSum(upstream, Reference.swiglu(gate: gate, up: $0))
    }
  }

  @Test(arguments: ActivationKind.allCases, [1, 15, 17, 70_001])
  func activationGradients(kind: ActivationKind, count: Int) {
    var numbers = Numbers(seed: 27)
    for size in [Float(0.01), 4, 30] {
      var x = numbers.floats(count, size: size)
      x[0] = 0
      let (gradient, before) = (numbers.floats(count), numbers.floats(count))
      sweep { workers in
        added(to: before) {
          activationGradient(kind, x: x, gradient: gradient, count: count, addTo: $0, on: workers)
        }
      } check: { level, found in
        let expected = Reference.activationGradient(kind, x: x, gradient: gradient)
        expectClose(found, sum(before, expected), tolerance: 1e-6, "\(level) \(kind) \(size)")
      }
    }
  }

  /// Where e^x overflows, slopes are 0 and 1 still.
  @Test(arguments: ActivationKind.allCases)
  func activationGradientsFarOut(kind: ActivationKind) {
    sweep { workers in
      added(to: [0, 0, 0]) {
        let x: [Float] = [-1000, 1000, .nan]
        activationGradient(kind, x: x, gradient: [2, 2, 2], count: 3, addTo: $0, on: workers)
      }.map(\.bitPattern)
    } check: { level, found in
      let found = found.map { Float(bitPattern: $0) }
      #expect(found[0] == 0, "\(level) \(kind)")
      #expect(found[1] == (kind == .tanh ? 0 : 2), "\(level) \(kind)")
      #expect(kind == .relu || found[2].isNaN, "\(level) \(kind)")
    }
  }

  @Test(arguments: [1, 15, 16, 17, 70_001])
  func swigluGradients(count: Int) {
    var numbers = Numbers(seed: 28)
    var gate = numbers.floats(count, size: 20)
    gate[0] = -300
    let (up, gradient) = (numbers.floats(count), numbers.floats(count))
    let before = (gate: numbers.floats(count), up: numbers.floats(count))
    func run(
      _ toGate: UnsafeMutablePointer<Float>?,
      _ toUp: UnsafeMutablePointer<Float>?,
      _ workers: Workers
    ) {
      swigluGradient(
        gate: gate,
        up: up,
        gradient: gradient,
        count: count,
        addToGate: toGate,
        addToUp: toUp,
        on: workers
      )
    }
    for isAlone in [false, true] {
      sweep { workers in
        var toUp: [Float] = []
        let toGate = added(to: before.gate) { toGate in
          guard !isAlone else { return run(toGate, nil, workers) }
          toUp = added(to: before.up) { run(toGate, $0, workers) }
        }
        if isAlone { toUp = added(to: before.up) { run(nil, $0, workers) } }
        return toGate + toUp
      } check: { level, found in
        let expected = Reference.swigluGradient(gate: gate, up: up, gradient: gradient)
        let (toGate, toUp) = (Array(found.prefix(count)), Array(found.suffix(count)))
        expectClose(toGate, sum(before.gate, expected.gate), tolerance: 1e-6, "\(level), gate")
        expectClose(toUp, sum(before.up, expected.up), tolerance: 1e-6, "\(level), up")
      }
    }
  }

  @Test(arguments: [1, 17, 70_001])
  func accumulatesAndScales(count: Int) {
    var numbers = Numbers(seed: 29)
    let (x, before) = (numbers.floats(count), numbers.floats(count))
    sweep { workers in
      added(to: before) { accumulate(x, count: count, addTo: $0, on: workers) }
    } check: { level, found in
      #expect(found == sum(before, x), "\(level)")
    }
    sweep { workers in
      added(to: before) { scale($0, count: count, by: 0.3, on: workers) }
    } check: { level, found in
      #expect(found == before.map { $0 * 0.3 }, "\(level)")
    }
  }
}
