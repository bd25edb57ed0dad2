package import KaratTensors

/// Records what a model's code does with symbolic values, as a graph.
///
/// Model code reads like the paper and has no `try`: the first fault is kept, what follows it is
/// ignored, and `finish` throws it.
package final class Tracer {
  private var builder = GraphBuilder()
  private var fault: GraphError?
  private var block: Int?

  package init() {}

  /// The root of the checkpoint's names.
  package var root: Scope { Scope(path: "", tracer: self) }

  /// A value that every run brings along.
  package func input(_ label: String, _ type: ValueType) -> Value {
    let value = add(.input(Input(label: label, type: type)), [], at: "")
    name(value, label)
    return value
  }

  /// Names a value, so that it can be asked for.
  package func name(_ value: Value, _ name: String) {
    builder.name(value.id, name)
  }

  /// Marks what the closure traces as one block: the unit in which large models stream.
  package func block<R>(_ index: Int, _ body: () -> R) -> R {
    block = index
    defer { block = nil }
    return body()
  }

  /// The graph of what was traced.
  ///
  /// - Throws: the first `GraphError` on the way.
  package func finish() throws(GraphError) -> Graph {
    if let fault { throw fault }
    return builder.finished()
  }

  func add(_ op: Op, _ inputs: [Value], at path: TensorName) -> Value {
    if fault == nil {
      do {
        return Value(
          id: try builder.add(op, inputs.map(\.id), path: path, block: block),
          tracer: self
        )
      } catch {
        fault = error
      }
    }
    return Value(id: ValueID(node: 0), tracer: self)
  }
}

/// A value of a graph that is being traced.
package struct Value {
  package let id: ValueID
  let tracer: Tracer

  /// The elementwise sum.
  package static func + (left: Value, right: Value) -> Value {
    left.tracer.add(.add(Add()), [left, right], at: "")
  }

  /// Another result of the operation that gives this one.
  package func result(_ output: Int) -> Value {
    Value(id: ValueID(node: id.node, output: output), tracer: tracer)
  }

  /// Puts this value through an operation, with further inputs behind it.
  package func through(_ op: Op, _ others: Value..., at scope: Scope) -> Value {
    through(op, others, at: scope)
  }

  /// Puts this value through an operation, with a list of further inputs behind it.
  package func through(_ op: Op, _ others: [Value], at scope: Scope) -> Value {
    tracer.add(op, [self] + others, at: scope.path)
  }
}

/// A place in the checkpoint's names: `w / "self_attn" / "q_proj"`.
package struct Scope {
  package let path: TensorName
  let tracer: Tracer

  /// The place below this one.
  package static func / (scope: Scope, component: String) -> Scope {
    Scope(path: scope.path / component, tracer: scope.tracer)
  }

  /// A tensor at this place, as float32 whatever floating-point type the checkpoint holds.
  package func parameter(_ component: String, _ dimensions: Int...) -> Value {
    let type = ValueType(.f32, dimensions.map(Extent.fixed))
    return tracer.add(.parameter(Parameter(path / component, type: type)), [], at: path)
  }
}

/// The rows of a table that ids name; `weight` [rows, features] at a place of the checkpoint.
package func embedding(_ ids: Value, _ w: Scope, rows: Int, features: Int) -> Value {
  ids.through(.embedding(Embedding()), w.parameter("weight", rows, features), at: w)
}

/// x · weightᵀ + bias with `weight` and, where asked for, `bias` at a place of the checkpoint.
package func linear(
  _ x: Value,
  _ w: Scope,
  _ inFeatures: Int,
  _ outFeatures: Int,
  bias: Bool = false
) -> Value {
  let weight = w.parameter("weight", outFeatures, inFeatures)
  return bias
    ? x.through(.linear(Linear()), weight, w.parameter("bias", outFeatures), at: w)
    : x.through(.linear(Linear()), weight, at: w)
}
