/* robust.h -- librobust: how robust is this sequence model? */
#ifndef ROBUST_H
#define ROBUST_H
#include <robust/status.h>
#include <robust/ctx.h>
#include <robust/tape.h>
#include <robust/model.h>
#include <robust/data.h>
#include <robust/trainer.h>
#include <robust/query.h>
#include <robust/attack.h>
#include <robust/bound.h>
#endif
