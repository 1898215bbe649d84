"""peer.py FOLDER KINDTNORM: reads lines (of at), runs auto_LiRPA CROWN + alpha-CROWN at eps; writes json lines with peer margins"""
import sys, json, time, importlib.util, types, os
sys.path.insert(0,'/tmp/lirpa')
src=open('/work/wt/alpha/tests/bench/peers/tightness.py').read().replace('\nmain()\n','\n')
m=types.ModuleType('t'); exec(compile(src,'t','exec'),m.__dict__)
import torch, pathlib
torch.set_default_dtype(torch.float64)
folder=pathlib.Path(sys.argv[1]); out=open(sys.argv[2],'a')
batch=int(sys.argv[3]) if len(sys.argv)>3 else 1000
lines=[json.loads(l) for l in sys.stdin if l.startswith('{')]
kind=lines[0]['file'].split('_')[0]; w=m.tensors(folder/lines[0]['file'])
m.METHOD['norm']=m.NORM[lines[0]['norm']]
x=torch.tensor([l['x'] for l in lines]); eps=torch.tensor([l['eps'] for l in lines])
clean=m.Net(w,kind,x.shape[1])(x)[:,0].detach(); sign=torch.sign(clean)
for k in range(eps.shape[1]):
    for name in ('CROWN','alpha-CROWN'):
        m.METHOD['name']=name; t=time.process_time()
        v=m.crown(w,kind,x,eps[:,k],sign,batch)
        took=(time.process_time()-t)/len(lines)
        out.write(json.dumps({'file':lines[0]['file'],'norm':lines[0]['norm'],'method':name,'k':k,'eps':eps[:,k].tolist(),'margin':v.tolist(),'seconds':took})+'\n'); out.flush()
