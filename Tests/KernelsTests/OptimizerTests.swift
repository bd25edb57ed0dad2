import Foundation
import KaratKernels
import Testing

extension Kernels {
  /// Three steps, so that moments are old and new.
  @Test(arguments: [1, 7, 16, 33, 70_001])
  func stepsOfAdamW(count: Int) {
    var numbers = Numbers(seed: 36)
    let start = numbers.floats(count)
    let gradients = (0..<3).map { _ in numbers.floats(count, size: 0.1) }
    func step(_ number: Int) -> AdamWStep {
      AdamWStep(
        rate: 0.01,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weightDecay: 0.1,
        correction1: 1 - pow(0.9, Double(number + 1)),
        correction2: 1 - pow(0.999, Double(number + 1)),
        gradientScale: 0.5
      )
    }
    var expected = (
      parameter: start.map(Double.init), firstMoment: [Double](repeating: 0, count: count),
      secondMoment: [Double](repeating: 0, count: count)
    )
    for number in 0..<3 {
      expected = Reference.adamW(
        parameter: expected.parameter,
        gradient: gradients[number].map(Double.init),
        firstMoment: expected.firstMoment,
        secondMoment: expected.secondMoment,
        step: step(number)
      )
    }
    sweep { workers in
      var (first, second): ([Float], [Float]) = ([], [])
      let parameter = added(to: start) { parameter in
        first = added(to: [Float](repeating: 0, count: count)) { first in
          second = added(to: [Float](repeating: 0, count: count)) { second in
            for number in 0..<3 {
              let left = added(to: gradients[number]) { gradient in
                adamW(
                  parameter: parameter,
                  gradient: gradient,
                  firstMoment: first,
                  secondMoment: second,
                  count: count,
                  step: step(number),
                  on: workers
                )
              }
              #expect(left.allSatisfy { $0 == 0 }, "the gradient is left as it was")
            }
          }
        }
      }
      return parameter + first + second
    } check: { level, found in
      let parts = [expected.parameter, expected.firstMoment, expected.secondMoment]
      for (index, part) in parts.enumerated() {
        let part = part.map { Float($0) }
        let found = Array(found[index * count..<(index + 1) * count])
        expectClose(found, part, tolerance: 1e-6, "\(level), \(index)")
      }
    }
  }

  /// The first step of Adam is the rate, whatever the size of the gradient.
  @Test func theFirstStepOfAdamIsTheRate() {
    let step = AdamWStep(
      rate: 0.1,
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 0,
      weightDecay: 0,
      correction1: 1 - 0.9,
      correction2: 1 - 0.999
    )
    sweep { workers in
      added(to: [0.5, 0.5]) { parameter in
        var (gradient, first, second): ([Float], [Float], [Float]) = ([3, -1e-3], [0, 0], [0, 0])
        adamW(
          parameter: parameter,
          gradient: &gradient,
          firstMoment: &first,
          secondMoment: &second,
          count: 2,
          step: step,
          on: workers
        )
      }
    } check: { level, found in
      expectClose(found, [0.4, 0.6], tolerance: 1e-6, "\(level)")
    }
  }

  @Test(arguments: [1, 7, 16, 33, 70_001])
  func stepsOfLion(count: Int) {
    var numbers = Numbers(seed: 37)
    let start = numbers.floats(count)
    var before = numbers.floats(count, size: 0.1)
    var gradients = numbers.floats(count, size: 0.1)
    // No direction: no step but the decay.
    before[0] = 0
    gradients[0] = 0
    let step = LionStep(
      rate: 0.01,
      beta1: 0.9,
      beta2: 0.99,
      weightDecay: 0.1,
      gradientScale: 2
    )
    let expected = Reference.lion(
      parameter: start.map(Double.init),
      gradient: gradients.map(Double.init),
      moment: before.map(Double.init),
      step: step
    )
    sweep { workers in
      var moment: [Float] = []
      let parameter = added(to: start) { parameter in
        moment = added(to: before) { moment in
          let left = added(to: gradients) { gradient in
            lion(
              parameter: parameter,
              gradient: gradient,
              moment: moment,
              count: count,
              step: step,
              on: workers
            )
          }
          #expect(left.allSatisfy { $0 == 0 }, "the gradient is left as it was")
        }
      }
      return parameter + moment
    } check: { level, found in
      let (parameter, moment) = (Array(found.prefix(count)), Array(found.suffix(count)))
      expectClose(parameter, expected.parameter.map { Float($0) }, tolerance: 2e-7, "\(level)")
      expectClose(moment, expected.moment.map { Float($0) }, tolerance: 2e-7, "\(level)")
    }
  }

  @Test(arguments: [0, 1, 15, 17, 70_001])
  func sumsOfSquares(count: Int) {
    var numbers = Numbers(seed: 38)
    var x = numbers.floats(count)
    let expected = x.reduce(0.0) { $0 + Double($1) * Double($1) }
    sweep { workers in
      [sumOfSquares(x, count: count, on: workers)]
    } check: { level, found in
      #expect(abs(found[0] - expected) <= 1e-12 * expected, "\(level)")
    }
    for unusual in [Float.greatestFiniteMagnitude, .infinity, .nan] where count > 0 {
      x[count / 2] = unusual
      sweep { workers in
        [sumOfSquares(x, count: count, on: workers).isFinite]
      } check: { level, found in
        #expect(found == [unusual.isFinite], "\(level), \(unusual)")
      }
    }
  }

  /// The casts, which are tested against PyTorch's, there and back.
  @Test(arguments: CastTarget.allCases, [Float(1), 0.37, 16])
  func roundsToNarrowFormats(format: CastTarget, factor: Float) {
    var numbers = Numbers(seed: 39)
    var x = (0..<40_001).map { _ in Float(bitPattern: UInt32(truncatingIfNeeded: numbers.next())) }
    x += numbers.floats(999, size: 500) + [0, -0.0, 448, 480, 57344, 65504, 1e6, -1e6, .infinity]
    let scaled = x.map { $0 * factor }
    // What saturates does so before the cast, which goes to infinity.
    let greatest: Float = format == .float8E5M2 ? 57344 : .infinity
    let limited = scaled.map { $0.isNaN ? $0 : min(greatest, max(-greatest, $0)) }
    let one = Workers(threads: 1)
    var codes = [UInt8](repeating: 0, count: 2 * x.count)
    var expected = [Float](repeating: 0, count: x.count)
    castFromFloat32(limited, to: format, count: x.count, out: &codes, on: one)
    castToFloat32(codes, from: format.source, count: x.count, out: &expected, on: one)
    for index in x.indices { expected[index] /= factor }
    for inPlace in [false, true] {
      sweep { workers in
        filled(x.count, with: Float(7)) { out in
          out.update(from: x, count: x.count)
          x.withUnsafeBufferPointer { x in
            guard let base = x.baseAddress else { return }
            roundToFormat(
              inPlace ? UnsafePointer(out) : base,
              count: x.count,
              format: format,
              scale: factor,
              out: out,
              on: workers
            )
          }
        }.map { $0.isNaN ? nil : $0.bitPattern }
      } check: { level, found in
        let wrong = x.indices.first { index in
          found[index] != (expected[index].isNaN ? nil : expected[index].bitPattern)
        }
        #expect(wrong == nil, "\(level), \(format): \(wrong.map { x[$0] } ?? 0)")
      }
    }
  }
}
