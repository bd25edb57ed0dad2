package import KaratGraphs
package import KaratKernels
package import KaratTensors

/// The parameters of a graph while it is trained: in float32, each with its gradient where it learns.
///
/// Takes 4 bytes for each number, and 4 more for each that learns. A parameter that the graph reads
/// as INT8, such as a zero point, learns as a real number and is rounded whenever it is read.
package final class ParameterSet {
  /// One parameter.
  package final class Item {
    package let name: TensorName
    package let shape: Shape
    /// The numbers that learn, row-major.
    package let values: UnsafeMutablePointer<Float>
    /// Their gradients, added up since the last step; nil where the parameter does not learn.
    package let gradient: UnsafeMutablePointer<Float>?
    /// Where the rounded numbers are, if the graph reads INT8.
    private let codes: UnsafeMutablePointer<Int8>?

    package var count: Int { shape.elementCount }

    /// Numbers that no graph reads, zero at first.
    package convenience init(_ name: TensorName, zeros shape: Shape, isTrained: Bool = false) {
      self.init(name, ValueType(.f32, shape.dimensions.map(Extent.fixed)), isTrained: isTrained)
      values.update(repeating: 0, count: count)
    }

    fileprivate init(_ name: TensorName, _ type: ValueType, isTrained: Bool) {
      self.name = name
      shape = type.shape(Binding(batch: 0, length: 0))
      values = .aligned(shape.elementCount)
      gradient = isTrained ? .aligned(shape.elementCount) : nil
      gradient?.update(repeating: 0, count: shape.elementCount)
      codes = type.dtype == .i8 ? .allocate(capacity: max(shape.elementCount, 1)) : nil
    }

    deinit {
      values.deallocate()
      gradient?.deallocate()
      codes?.deallocate()
    }

    /// What operations read.
    package var operand: Operand {
      guard let codes else { return Operand(dtype: .f32, shape: shape, address: values) }
      for index in 0..<count {
        codes[index] = Int8(max(-128, min(127, values[index].rounded(.toNearestOrEven))))
      }
      return Operand(dtype: .i8, shape: shape, address: codes)
    }

    /// Where operations add their gradients.
    package var target: Operand? {
      gradient.map { Operand(dtype: .f32, shape: shape, address: $0) }
    }

    /// A copy of the numbers.
    package var tensor: Tensor {
      Tensor(.f32, shape) { bytes in
        bytes.baseAddress?.copyMemory(from: values, byteCount: bytes.count)
      }
    }
  }

  /// The parameters, in the order of the graph.
  package let items: [Item]
  private let places: [TensorName: Int]

  /// Pulls the parameters of a graph.
  ///
  /// - Parameters:
  ///   - graph: what reads them.
  ///   - source: where their first numbers come from.
  ///   - wanted: which of them are pulled, or nil for all.
  ///   - workers: the threads.
  ///   - isTrained: which of them learn.
  /// - Throws: `CheckpointError` where one cannot be pulled.
  package init(
    _ graph: Graph,
    _ source: any TensorSource,
    only wanted: Set<TensorName>? = nil,
    on workers: Workers,
    isTrained: (TensorName) -> Bool
  ) throws(CheckpointError) {
    var items: [Item] = []
    var places: [TensorName: Int] = [:]
    for (name, type) in graph.parameters where wanted?.contains(name) ?? true {
      let item = Item(name, type, isTrained: isTrained(name))
      let tensor = try source.tensor(name)
      if tensor.dtype == .i8 {
        for (index, code) in tensor.elements(as: Int8.self).enumerated() {
          item.values[index] = Float(code)
        }
      } else {
        tensor.asFloat32(on: workers).withElements(as: Float.self) { elements in
          guard let first = elements.baseAddress else { return }
          item.values.update(from: first, count: elements.count)
        }
      }
      places[name] = items.count
      items.append(item)
    }
    self.items = items
    self.places = places
  }

  /// The parameter of a name.
  ///
  /// - Precondition: the graph reads it.
  package subscript(name: TensorName) -> Item {
    guard let place = places[name] else { preconditionFailure("\(name.quoted) is not there") }
    return items[place]
  }

  /// Whether the graph reads a parameter of a name.
  package func contains(_ name: TensorName) -> Bool { places[name] != nil }

  /// Those that learn, in order.
  package var trained: [Item] { items.filter { $0.gradient != nil } }

  /// How many numbers learn.
  package var trainedCount: Int { trained.reduce(0) { $0 + $1.count } }
}

extension UnsafeMutablePointer<Float> {
  /// Memory for so many floats, aligned to a cache line.
  static func aligned(_ count: Int) -> UnsafeMutablePointer<Float> {
    UnsafeMutableRawPointer.allocate(byteCount: max(count, 1) * 4, alignment: 64)
      .bindMemory(to: Float.self, capacity: max(count, 1))
  }
}
